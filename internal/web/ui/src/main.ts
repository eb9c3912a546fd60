import "./style.css";
import * as acts from "./acts";
import { Failure, follow, get, lines, post, setToken, takeToken } from "./api";
import { Chart, markOf, type Mark } from "./chart";
import { fill, h, keep } from "./dom";
import type { Drain, JournalEvent, Plan, Point, Reason, Service, Status } from "./types";
import * as view from "./view";
import { named, sessions } from "./words";

const windows: [string, number][] = [
  ["5 minutes", 300],
  ["30 minutes", 1800],
  ["3 hours", 3 * 3600],
  ["12 hours", 12 * 3600],
];
const kept = 500; // journal events
const most = 5000; // points of a chart

const app = document.getElementById("app")!;

// login asks for the token, which `ebbtide web` prints.
function login(why: string): void {
  const token = h("input", { id: "token", type: "password", autocomplete: "off", required: true });
  const form = h("form", { class: "login" }, h("h1", {}, "ebbtide"), h("p", {}, why), h("p", {}, "The command ", h("code", {}, "ebbtide web"), " prints the address of this page with its token. Open that address, or put the token in here."), h("label", { for: "token" }, "Token"), token, h("button", { type: "submit", class: "primary" }, "Open"));
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    setToken(token.value.replace(/^.*#/, ""));
    void begin();
  });
  fill(app, h("main", {}, form));
  token.focus();
}

class Page {
  private status: Status;
  private chosen: string;
  private points: Point[] = [];
  private events: JournalEvent[] = [];
  private drain: Drain | null = null;
  private plan: Plan | null = null;
  private noPlan = "";
  private window = 300;
  private asking = false;
  private leave = new AbortController();
  private readonly chart: Chart;
  private timer: ReturnType<typeof setTimeout> | undefined;

  private readonly live = h("span", { class: "live", role: "status" }, "connecting");
  private readonly version = h("span", {});
  private readonly nav = h("ul", {});
  private readonly title = h("h1", { tabindex: "-1" });
  private readonly sub = h("p", { class: "sub" });
  private readonly banners = h("div", {});
  private readonly said = h("p", { class: "said", role: "status" });
  private readonly plot = h("div", { class: "plot", role: "img" });
  private readonly places = {
    generations: h("div", {}),
    release: h("div", {}),
    drain: h("div", {}),
    backends: h("div", {}),
    drops: h("div", {}),
    journal: h("div", {}),
    figures: h("div", {}),
  };
  private readonly buttons: Record<"start" | "flip" | "pause" | "resume" | "notice" | "migrate" | "rollback", HTMLButtonElement>;

  constructor(status: Status) {
    this.status = status;
    this.chosen = new URLSearchParams(location.search).get("service") ?? "";
    if (!this.services().some((s) => s.name === this.chosen)) this.chosen = this.services()[0]?.name ?? "";
    const button = (text: string, act: () => Parameters<typeof acts.ask>[0]): HTMLButtonElement => h("button", { type: "button", click: () => void this.act(act) }, text);
    const s = (): Service => this.service()!;
    this.buttons = {
      start: button("Release…", () => acts.start(s(), (this.plan?.steps ?? []).map((p) => p.state), this.plan?.strategy ?? "")),
      flip: button("Flip…", () => acts.flip(s(), this.services())),
      pause: button("Pause…", () => acts.pause(s(), acts.running(s())!)),
      resume: button("Resume…", () => acts.resume(s(), acts.running(s())!)),
      notice: button("Notice…", () => acts.notice(s(), acts.running(s())!)),
      migrate: button("Migrate…", () => acts.migrate(s(), this.leaving()!)),
      rollback: button("Roll back…", () => acts.rollback(s(), this.services())),
    };
    this.build();
    this.chart = new Chart(this.plot);
  }

  private services(): Service[] {
    return this.status.services ?? [];
  }

  private service(): Service | undefined {
    return this.services().find((s) => s.name === this.chosen);
  }

  // leaving is the newest generation that drains.
  private leaving() {
    return (this.service()?.generations ?? []).filter((g) => g.state === "draining" || g.state === "inconclusive").sort((a, b) => b.number - a.number)[0];
  }

  private build(): void {
    const part = (id: keyof Page["places"], name: string, ...before: HTMLElement[]): HTMLElement => h("section", { "aria-labelledby": `h-${id}`, id }, h("h2", { id: `h-${id}` }, name), ...before, this.places[id]);
    const choice = h("select", { id: "window", change: () => this.look(Number(choice.value)) }, ...windows.map(([text, n]) => h("option", { value: String(n) }, text)));
    fill(
      app,
      h("a", { class: "skip", href: "#tide" }, "To the tide"),
      h("header", {}, h("span", { class: "brand" }, "ebbtide"), this.version, this.live),
      h("nav", { "aria-label": "Services" }, this.nav),
      h(
        "main",
        {},
        h("div", { class: "head" }, h("div", {}, this.title, this.sub), h("div", { class: "acts", role: "group", "aria-label": "Acts" }, ...Object.values(this.buttons))),
        this.banners,
        this.said,
        h(
          "section",
          { id: "tide", class: "wide", "aria-labelledby": "h-tide" },
          h("div", { class: "row" }, h("h2", { id: "h-tide" }, "The tide"), h("label", { for: "window" }, "Last"), choice),
          this.plot,
          h("details", {}, h("summary", {}, "The figures of the chart"), this.places.figures),
        ),
        h("div", { class: "columns" }, part("release", "Release"), part("drain", "What is left")),
        part("generations", "Generations"),
        part("backends", "Backends"),
        part("drops", "Drops"),
        part("journal", "Journal"),
      ),
    );
  }

  private look(seconds: number): void {
    this.window = seconds;
    this.draw();
  }

  async run(): Promise<void> {
    this.choose(this.chosen);
    this.every(() => this.refresh(), 2000);
    this.every(async () => {
      const d = await post<{ reasons: Reason[] | null }>("/v1/drops", { interval_seconds: 1 });
      keep(this.places.drops, view.drops(d.reasons ?? []));
    }, 5000);
  }

  // every does something again and again while the page is seen.
  private every(what: () => Promise<void>, wait: number): void {
    const turn = async (): Promise<void> => {
      try {
        if (!document.hidden) await what();
      } catch (err) {
        if (err instanceof Failure && err.status === 401) return this.out();
        this.offline(err instanceof Failure ? err.message : "the daemon does not answer");
      }
      setTimeout(turn, wait);
    };
    void turn();
  }

  private offline(why: string): void {
    this.live.textContent = why;
    this.live.classList.remove("on");
  }

  private out(): void {
    this.leave.abort();
    login("The token is missing, or no longer the daemon's.");
  }

  private choose(name: string): void {
    this.leave.abort();
    this.leave = new AbortController();
    this.chosen = name;
    this.points = [];
    this.events = [];
    this.drain = null;
    this.plan = null;
    history.replaceState(null, "", `?service=${encodeURIComponent(name)}`);
    const signal = this.leave.signal;
    const at = `service=${encodeURIComponent(name)}`;
    const state = (live: boolean, why?: Failure): void => {
      if (why?.status === 401) return this.out();
      this.live.textContent = live ? "live" : "the daemon is away: what forwards goes on without it";
      this.live.classList.toggle("on", live);
    };
    void follow(`/tide?${at}`, signal, (_kind, data) => this.flood(data as Point[]), state);
    void this.past(signal).then((after) => follow(`/v1/events?${at}&after=${after}`, signal, (kind, data) => this.heard(kind, data), state));
    void this.refresh().catch(() => undefined); // it comes again
  }

  // past reads the last of the journal, and gives the number after which events are still to come.
  private async past(signal: AbortSignal): Promise<number> {
    try {
      await lines<JournalEvent>("/v1/history", { service: this.chosen, last: kept }, (e) => {
        if (!signal.aborted) this.events.push(e);
      });
    } catch {
      // the stream has them all then
    }
    return this.events.at(-1)?.seq ?? 0;
  }

  private flood(points: Point[]): void {
    const last = new Date(this.points.at(-1)?.at ?? 0);
    this.points.push(...points.filter((p) => new Date(p.at) > last)); // all of them come again when the connection does
    this.points.splice(0, Math.max(0, this.points.length - most));
    this.draw();
  }

  private heard(kind: string, data: unknown): void {
    if (kind === "journal") {
      const e = data as JournalEvent;
      if (e.seq > (this.events.at(-1)?.seq ?? 0)) this.events.push(e);
      this.events.splice(0, Math.max(0, this.events.length - kept));
      this.soon();
    } else if (kind === "drain") {
      this.drain = data as Drain;
      fill(this.places.drain, ...view.drain(this.drain, this.leaving()));
      this.soon();
    }
  }

  // soon asks for the status when something has happened, and once for many things.
  private soon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.refresh().catch(() => undefined), 100);
  }

  private async refresh(): Promise<void> {
    const name = this.chosen;
    this.status = await get<Status>("/v1/status");
    try {
      const plan = await post<Plan>("/v1/release/plan", { service: name });
      if (name === this.chosen) [this.plan, this.noPlan] = [plan, ""];
    } catch (err) {
      if (!(err instanceof Failure) || err.status === 401) throw err;
      // While a release is under way there is no plan of another: its own steps stay.
      const s = this.service();
      if (s && !acts.running(s)) [this.plan, this.noPlan] = [null, err.message];
    }
    if (name === this.chosen) this.draw();
  }

  // act asks for one, with the figures of now, and does it.
  private async act(act: () => Parameters<typeof acts.ask>[0]): Promise<void> {
    if (this.asking) return; // one at a time
    this.asking = true;
    const from = document.activeElement;
    try {
      await this.refresh();
      const done = await acts.ask(act());
      if (done !== null) this.said.textContent = done;
    } catch (err) {
      this.said.textContent = `Nothing was done: ${err instanceof Failure ? err.message : "the daemon does not answer"}`;
    }
    this.asking = false;
    if (from instanceof HTMLElement) from.focus();
    await this.refresh().catch(() => undefined); // it comes again
    if (document.activeElement === document.body) this.title.focus(); // what had the focus is no more to be done
  }

  private draw(): void {
    const s = this.service();
    this.version.textContent = this.status.version;
    this.list();
    if (!s) {
      this.title.textContent = "No services";
      return;
    }
    document.title = `${s.name} · ebbtide`;
    this.title.textContent = s.name;
    const strategy = acts.running(s)?.strategy ?? this.plan?.strategy;
    this.sub.textContent = `${named(s.live)} is live · ${s.forwarding}${strategy ? ` · strategy ${strategy}` : ""}${s.group ? ` · group ${s.group}` : ""} · ${(s.listeners ?? []).map((l) => `${l.vip} ${l.protocol} ${l.ports}`).join(", ")}`;
    fill(this.banners, ...view.banners(s));
    this.enable(s);
    const marks = this.events.map(markOf).filter((m): m is Mark => m !== null);
    this.chart.show(this.points, marks, this.drain, this.window);
    this.plot.setAttribute("aria-label", view.spoken(s));
    keep(this.places.figures, view.figures(this.points));
    keep(this.places.generations, view.generations(s));
    fill(this.places.release, ...view.release(s, this.plan, this.noPlan));
    fill(this.places.drain, ...view.drain(this.drain, this.leaving()));
    keep(this.places.backends, view.backends(s));
    keep(this.places.journal, view.journal(this.events));
  }

  // enable shows the buttons of what can be done now.
  private enable(s: Service): void {
    const r = acts.running(s);
    const stopped = r?.state === "paused" || r?.state === "failed";
    const shown: Record<keyof Page["buttons"], boolean> = {
      start: !r && this.plan !== null && acts.target(s) !== undefined && this.leaving() === undefined,
      flip: !r && acts.target(s) !== undefined,
      pause: r !== undefined && !stopped,
      resume: stopped,
      notice: r?.state === "draining",
      migrate: this.leaving() !== undefined && this.leaving()!.sessions.total > 0,
      rollback: acts.before(s) !== undefined,
    };
    for (const [name, on] of Object.entries(shown)) this.buttons[name as keyof Page["buttons"]].hidden = !on;
  }

  private list(): void {
    const items = this.services().map((s) => {
      const r = acts.running(s);
      const all = (s.generations ?? []).reduce((n, g) => n + g.sessions.total, 0);
      const drains = (s.generations ?? []).some((g) => g.state === "draining");
      return { s, text: `${s.live.colour || "nothing"} live, ${sessions(all)}${r ? `, ${r.strategy} release ${r.state}` : drains ? ", draining" : ""}` };
    });
    const names = items.map(({ s }) => s.name).join(" ");
    if (this.nav.dataset["names"] !== names) {
      this.nav.dataset["names"] = names;
      fill(this.nav, ...items.map(({ s }) => h("li", {}, h("button", { type: "button", "data-service": s.name, click: () => this.choose(s.name) }, h("strong", {}, s.name), h("span", {})))));
    }
    this.nav.querySelectorAll<HTMLButtonElement>("button").forEach((b, i) => {
      const item = items[i]!;
      b.className = item.s.live.colour;
      if (item.s.name === this.chosen) b.setAttribute("aria-current", "true");
      else b.removeAttribute("aria-current");
      b.lastElementChild!.textContent = item.text;
    });
  }
}

async function begin(): Promise<void> {
  try {
    const status = await get<Status>("/v1/status");
    await new Page(status).run();
  } catch (err) {
    if (err instanceof Failure && err.status === 401) return login("This page shows who plays here and moves them, so it wants a token.");
    fill(app, h("main", {}, h("h1", {}, "ebbtide"), h("p", { role: "alert" }, `The daemon does not answer: ${(err as Error).message}`), h("button", { type: "button", click: () => void begin() }, "Try again")));
  }
}

takeToken();
void begin();
