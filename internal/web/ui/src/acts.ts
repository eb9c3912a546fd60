// What the page can do, and what it says before it does it.

import { lines, post } from "./api";
import { h } from "./dom";
import type { EvictProgress, FlipResult, Generation, Release, Service } from "./types";
import { named, num, sessions } from "./words";

// An act is asked for in a dialog: what it is, what will happen to how many sessions, and how to undo it.
interface Act {
  title: string;
  says: string[];
  button: string;
  danger?: boolean;
  more?: HTMLElement[];
  stops?: boolean; // it goes on for a while, and ends with the dialog
  run(reason: string, tell: (text: string) => void, signal: AbortSignal): Promise<string>;
}

// ask shows the dialog. It resolves to what was done, or null when it was not.
export function ask(act: Act): Promise<string | null> {
  return new Promise((resolve) => {
    const why = h("input", { id: "reason", type: "text", maxlength: "500", autocomplete: "off" });
    const fault = h("p", { class: "fault", role: "alert" });
    const told = h("p", { class: "told", role: "status" });
    const go = h("button", { type: "submit", class: act.danger ? "danger" : "primary" }, act.button);
    const cancel = h("button", { type: "button", click: () => box.close() }, "Cancel");
    const left = new AbortController();
    let done: string | null = null;
    const form = h("form", { method: "dialog" }, h("h2", { id: "ask-title" }, act.title), ...act.says.map((text) => h("p", {}, text)), ...(act.more ?? []), h("label", { for: "reason" }, "Why, for the journal"), why, fault, told, h("p", { class: "buttons" }, cancel, go));
    const box = h("dialog", { "aria-labelledby": "ask-title" }, form);
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      go.disabled = true;
      fault.textContent = "";
      if (act.stops) cancel.textContent = "Stop";
      act.run(why.value, (text) => (told.textContent = text), left.signal).then(
        (text) => {
          done = text;
          box.close();
        },
        (err: Error) => {
          go.disabled = false;
          cancel.textContent = "Cancel";
          fault.textContent = err.message;
        },
      );
    });
    box.addEventListener("close", () => {
      left.abort();
      box.remove();
      resolve(done ?? (cancel.textContent === "Stop" ? `Stopped. ${told.textContent ?? ""}` : null));
    });
    document.body.append(box);
    box.showModal();
    cancel.focus();
  });
}

const of = (s: Service, number: number): Generation | undefined => (s.generations ?? []).find((g) => g.number === number);

const total = (s: Service, number: number): number => of(s, number)?.sessions.total ?? 0;

// target is the generation that a flip goes to: the other colour's.
export function target(s: Service): Generation | undefined {
  return (s.generations ?? []).find((g) => g.number !== s.live.number && g.colour !== "" && g.colour !== s.live.colour && (g.backends ?? []).length > 0);
}

// before is where a rollback goes: to the generation that was live last.
export function before(s: Service): Generation | undefined {
  const old = (s.generations ?? []).filter((g) => g.number !== s.live.number && g.state !== "candidate" && g.colour !== "");
  return old.sort((a, b) => b.number - a.number)[0];
}

// running is the release that is not over.
export const running = (s: Service): Release | undefined => (s.releases ?? []).find((r) => !r.over);

// members are the services that move as one with this one.
const members = (s: Service, all: Service[]): Service[] => (s.group ? all.filter((m) => m.group === s.group) : [s]);

interface GroupResult {
  members: FlipResult[];
}

const proof = (r: FlipResult): string =>
  r.changed
    ? `${r.service}: ${named(r.live)} is live. New sessions on ${r.old ? named(r.old) : "the old one"} since: ${num(r.new_on_old)}. Left there: ${sessions(r.sessions_on_old)}.`
    : `${r.service}: ${named(r.live)} is live already, nothing to do.`;

export function flip(s: Service, all: Service[]): Act {
  const moved = members(s, all);
  const says = moved.map((m) => {
    const to = target(m);
    return `${m.name}: from now on new sessions go to ${to ? named(to) : "the other colour"}. ${sessions(total(m, m.live.number))} on ${named(m.live)} stay where they are until they end.`;
  });
  return {
    title: moved.length > 1 ? `Flip the group ${s.group}` : `Flip ${s.name}`,
    says: [...says, "Nobody is cut. To undo it, roll back: new sessions go home then, and the sessions that have begun meanwhile stay."],
    button: "Flip",
    async run(reason) {
      if (s.group) {
        const done = await post<GroupResult>("/v1/flip-group", { group: s.group, reason });
        return done.members.map(proof).join(" ");
      }
      return proof(await post<FlipResult>("/v1/flip", { service: s.name, to: target(s)?.colour ?? "", reason }));
    },
  };
}

export function rollback(s: Service, all: Service[]): Act {
  const release = running(s);
  const moved = release ? [s] : members(s, all);
  const says = moved.map((m) => {
    const to = before(m);
    return `${m.name}: new sessions go back to ${to ? named(to) : "the generation before"}. ${sessions(total(m, m.live.number))} on ${named(m.live)} stay where they are until they end.`;
  });
  return {
    title: moved.length > 1 ? `Roll back the group ${s.group}` : `Roll back ${s.name}`,
    says: release ? [...says, `Release ${release.number} ends as rolled back.`] : says,
    button: "Roll back",
    danger: true,
    async run(reason) {
      if (release) {
        const r = await post<Release>("/v1/release", { service: s.name, do: "rollback", number: release.number, reason });
        return `${s.name}: release ${r.number} is ${r.state}.`;
      }
      if (s.group) {
        const done = await post<GroupResult>("/v1/rollback-group", { group: s.group, reason });
        return done.members.map(proof).join(" ");
      }
      return proof(await post<FlipResult>("/v1/rollback", { service: s.name, reason }));
    },
  };
}

// word is one that a release is told.
function word(s: Service, r: Release | undefined, what: string, title: string, says: string[], button: string): Act {
  return {
    title,
    says,
    button,
    async run(reason) {
      const now = await post<Release>("/v1/release", { service: s.name, do: what, reason, ...(r ? { number: r.number } : {}) });
      return `${s.name}: release ${now.number} is ${now.state}${now.waits ? `: ${now.waits}` : ""}.`;
    },
  };
}

export function start(s: Service, steps: string[], strategy: string): Act {
  const to = target(s);
  return word(
    s,
    undefined,
    "release",
    `Release ${s.name}`,
    [`${to ? named(to) : "What is staged"} is released by the strategy ${strategy}; ${sessions(total(s, s.live.number))} are on ${named(s.live)} now.`, ...(steps.length > 0 ? [`Its steps: ${steps.join("; ")}.`] : []), "It can be paused and rolled back."],
    "Release",
  );
}

export function pause(s: Service, r: Release): Act {
  return word(s, r, "pause", `Pause release ${r.number} of ${s.name}`, [`It stays where it stands, ${r.state}, until somebody resumes it. Nothing moves: ${sessions(r.left)} on ${named(r.from)} stay there until they end, and new sessions go where they go now.`], "Pause");
}

export function resume(s: Service, r: Release): Act {
  return word(s, r, "resume", `Resume release ${r.number} of ${s.name}`, [`It goes on where it stood: ${r.stopped_in || r.state}. ${sessions(r.left)} are left on ${named(r.from)}.`], "Resume");
}

export function notice(s: Service, r: Release): Act {
  return word(s, r, "notice", `Tell those who are left on ${named(r.from)}`, [`The notice hooks of ${s.name} are run for ${sessions(r.left)} on ${named(r.from)}, batch by batch. Nobody is moved. ${r.notices === 0 ? "Nobody was told yet." : `They were told ${r.notices} times.`}`], "Send the notice");
}

export function migrate(s: Service, g: Generation): Act {
  const batch = h("input", { id: "batch", type: "number", min: "1", max: "100000", value: "50", required: true });
  const every = h("input", { id: "every", type: "number", min: "0.1", max: "3600", step: "0.1", value: "1", required: true });
  return {
    title: `Move those who are left on ${named(g)}`,
    says: [
      `${sessions(g.sessions.total)} of ${s.name} leave ${named(g)} for ${named(s.live)}, each with its next packet. TCP sessions are cut: their clients get a RST and have to connect again. UDP sessions go on at another backend, which does not know them.`,
      "That can't be undone. It can be stopped while it runs, and ends when this page is closed: what was told by then moves.",
    ],
    more: [h("p", { class: "pair" }, h("label", { for: "batch" }, "Sessions at once"), batch), h("p", { class: "pair" }, h("label", { for: "every" }, "Seconds between batches"), every)],
    button: `Move ${sessions(g.sessions.total)}`,
    danger: true,
    stops: true,
    async run(reason, tell, signal) {
      let last: EvictProgress = { found: 0, marked: 0, moved: 0, evicting: 0, done: false };
      await lines<EvictProgress>("/v1/evict", { service: s.name, generation: g.number, batch: batch.valueAsNumber, every_seconds: every.valueAsNumber, reason }, (p) => {
        last = p;
        tell(`${num(p.marked)} of ${num(p.found)} are told to move, ${num(p.moved)} have.`);
      }, signal);
      return `${s.name}: ${sessions(last.marked)} of ${named(g)} were told to move, ${num(last.moved)} have.`;
    },
  };
}
