// The parts of the page that show one service. Each gives what it shows anew; main puts it in its place.

import { h, table } from "./dom";
import { running } from "./acts";
import type { Drain, Generation, JournalEvent, Plan, Point, Reason, Release, Service } from "./types";
import { clock, fromNow, named, num, sessions, span } from "./words";

export function banners(s: Service): HTMLElement[] {
  const out: HTMLElement[] = [];
  const say = (text: string): number => out.push(h("p", { class: "banner" }, text));
  if (s.problem) say(s.problem);
  if (s.closed) say(`Closed: whoever begins a session gets the answer ${s.closed}.`);
  if (s.lock) say(`Locked by ${s.lock.by} until ${clock(s.lock.until)}: ${s.lock.reason}`);
  if (s.freeze) say(`Frozen until ${clock(s.freeze.until)}: ${s.freeze.reason}`);
  for (const g of s.generations ?? []) {
    if (g.new_since_flip > 0 && g.state !== "live") say(`A promise is broken: ${sessions(g.new_since_flip)} began on ${named(g)} after the flip away from it.`);
  }
  return out;
}

export function generations(s: Service): HTMLElement {
  return table(
    `Generations of ${s.name}`,
    ["Generation", "Colour", "Version", "State", "Since", "Sessions", "New", "New since the flip"],
    (s.generations ?? []).map((g) => [g.number, chip(g), g.version, g.state + (g.roles?.includes("stable") ? ", stable" : ""), clock(g.since), num(g.sessions.total), num(g.new), g.state === "live" || g.state === "candidate" ? "" : num(g.new_since_flip)]),
  );
}

function chip(g: { colour: string }): HTMLElement {
  return h("span", { class: `chip ${g.colour || "none"}` }, g.colour || "none");
}

export function backends(s: Service): HTMLElement {
  const rows = (s.generations ?? []).flatMap((g) => (g.backends ?? []).map((b) => ({ g, b })));
  return table(
    `Backends of ${s.name}`,
    ["Address", "Colour", "State", "Health", "Weight", "Sessions", "Players", "Way"],
    rows.map(({ g, b }) => {
      const lost = (b.next_hops ?? []).find((n) => n.reason);
      return [
        b.addresses.join(", ") + (b.port ? `:${b.port}` : ""),
        chip(g),
        b.state,
        b.health ? (b.health.well ? "well" : `sick: ${b.health.sick}`) : "not asked",
        b.weight,
        num(b.sessions),
        b.occupancy?.players === undefined ? "" : num(b.occupancy.players),
        lost ? lost.reason : "known",
      ];
    }),
  );
}

export function release(s: Service, plan: Plan | null, why: string): HTMLElement[] {
  const r = running(s);
  if (!r) {
    if (plan === null) return [h("p", {}, why || "Nothing is under way.")];
    const failed = (plan.checks ?? []).filter((c) => !c.ok);
    return [
      h("p", {}, `Nothing is under way. A release would go by the strategy ${plan.strategy}:`),
      steps(plan, null),
      failed.length > 0 ? h("p", { class: "banner" }, `It could not begin now: ${failed.map((c) => c.detail).join("; ")}`) : h("p", {}, "Every check for it passes."),
    ];
  }
  const out: HTMLElement[] = [
    h("p", {}, `Release ${r.number} by ${r.by}, strategy ${r.strategy}: ${named(r.from)} → ${named(r.to)}. `, h("strong", {}, r.state), ` since ${clock(r.since)}${r.why ? `: ${r.why}` : ""}.`),
  ];
  if (r.waits) out.push(h("p", {}, `It waits: ${r.waits}.`));
  if (plan) out.push(steps(plan, r));
  if (r.steps > 0) out.push(h("p", {}, `Step ${r.step} of ${r.steps}.`));
  if ((r.gates ?? []).length > 0) {
    out.push(table("Gates", ["Gate", "Verdict", "If it fails", "Why"], r.gates!.map((g) => [g.gate, h("span", { class: `verdict ${g.verdict}` }, g.verdict), g.on_fail, g.detail])));
  }
  return out;
}

// steps shows the way of a release, with where it stands.
function steps(plan: Plan, r: Release | null): HTMLElement {
  const at = r ? r.stopped_in || r.state : "";
  const all = plan.steps ?? [];
  const here = all.findIndex((p) => p.state === at);
  return h(
    "ol",
    { class: "steps" },
    ...all.map((p, i) => {
      const now = p.state === at && (i === here || r?.state === "stepping");
      return h("li", { class: now ? "now" : i < here ? "past" : "", ...(i === here && now ? { "aria-current": "step" } : {}) }, h("strong", {}, p.state), `: ${p.what}`, p.hooks ? h("small", {}, ` (${p.hooks.join("; ")})`) : null);
    }),
  );
}

export function drain(d: Drain | null, leaving: Generation | undefined): HTMLElement[] {
  if (!leaving || !d) return [h("p", {}, leaving ? `${named(leaving)}: ${sessions(leaving.sessions.total)} left.` : "Nothing drains.")];
  const out: HTMLElement[] = [h("p", { class: "big" }, `${sessions(d.left.total)} left on ${named(d.generation)}`, d.verdict && d.verdict !== "draining" ? `: ${d.verdict}` : "")];
  if (d.evidence) out.push(h("p", {}, d.evidence));
  if (d.reason) out.push(h("p", { class: "banner" }, d.reason));
  const f = d.forecast;
  if (f && d.state === "draining") {
    out.push(h("p", {}, `Empty about ${clock(f.median)} (${fromNow(f.median)}); with a chance of ${Math.round(f.confidence * 100)} % between ${clock(f.low)} and ${clock(f.high)}.`));
  } else if (d.empty_at && d.state === "draining") {
    out.push(h("p", {}, `Empty about ${clock(d.empty_at)} at the rate of now.`));
  }
  const rest = d.rest;
  if (rest) {
    const facts: [string, string][] = [
      ["Oldest", span(rest.oldest_seconds)],
      ["Half are older than", span(rest.median_seconds)],
      ["Silent for more than a minute", num(rest.idle)],
      ["The longest silence", span(rest.idle_seconds)],
      ["Never answered", num(rest.one_way)],
      ["Ended, and kept for a while", num(rest.lingering)],
      ["Opened again", num(rest.reopened)],
    ];
    out.push(h("dl", {}, ...facts.flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])));
    if ((rest.clients ?? []).length > 0) out.push(table("Clients with most sessions left", ["Client", "Sessions left"], rest.clients!.map((c) => [c.client, num(c.sessions)])));
  }
  return out;
}

export function drops(reasons: Reason[]): HTMLElement {
  const shown = reasons.filter((r) => !r.reason.startsWith("pass_"));
  if (shown.length === 0) return h("p", {}, "Nothing was dropped.");
  return table("Drops and events", ["Reason", "Count", "Per second", "Meaning", "What to do"], shown.map((r) => [h("code", {}, r.reason), num(r.count), r.rate_per_second.toFixed(1), r.meaning, r.advice]));
}

export function journal(events: JournalEvent[]): HTMLElement {
  return table(
    "Journal",
    ["Time", "By", "Act", "Stage", "Why"],
    [...events].reverse().slice(0, 50).map((e) => [clock(e.time), e.actor.daemon ? "the daemon" : e.actor.user, e.act + moved(e), e.stage, e.reason ?? ""]),
  );
}

function moved(e: JournalEvent): string {
  const to = e.act === "release" ? (e.after as { state?: string } | undefined)?.state : undefined;
  return to ? `: ${to}` : "";
}

// figures is the chart for those who do not see it.
export function figures(points: Point[]): HTMLElement {
  const last = points.slice(-12).reverse();
  const numbers = [...new Set(last.flatMap((p) => p.generations.map((g) => g.number)))].sort((a, b) => a - b);
  return table(
    "Sessions by generation over time",
    ["Time", ...numbers.map((n) => `Generation ${n}`)],
    last.map((p) => [clock(p.at), ...numbers.map((n) => num(p.generations.find((g) => g.number === n)?.sessions ?? 0))]),
  );
}

// spoken says the chart in a sentence.
export function spoken(s: Service): string {
  const parts = (s.generations ?? []).map((g) => `${sessions(g.sessions.total)} on ${g.colour || "no colour"} version ${g.version}, ${g.state}`);
  return `Sessions of ${s.name} over time: ${parts.join("; ")}`;
}
