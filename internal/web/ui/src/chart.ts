import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Count, Drain, JournalEvent, Point } from "./types";
import { clock, num } from "./words";

// A mark is something that happened, on the chart's time.
export interface Mark {
  at: number;
  sign: string;
  text: string;
}

const signs: Record<string, [string, string]> = {
  flip: ["▲", "flip"],
  rollback: ["▼", "rollback"],
  gate: ["◆", "gate"],
  notice: ["●", "notice"],
  evict: ["■", "moved"],
  drained: ["○", "drained"],
};

// markOf gives the mark of a journal event, if it has one.
export function markOf(e: JournalEvent): Mark | null {
  let kind = e.act;
  if (e.act === "release") {
    const to = (e.after as { state?: string } | undefined)?.state;
    if (to !== "noticing") return null;
    kind = "notice";
  } else if (e.stage !== "done" && e.stage !== "note") {
    return null;
  }
  const sign = signs[kind];
  const gate = (e.after as { gate?: { gate: string; verdict: string } } | undefined)?.gate;
  const text = kind === "gate" && gate ? `${gate.gate}: ${gate.verdict}` : sign?.[1];
  return sign && text ? { at: new Date(e.time).getTime() / 1000, sign: sign[0], text } : null;
}

interface Stack {
  data: uPlot.AlignedData;
  counts: Map<number, Count>; // what each generation was called last
  order: number[];
}

// stack lays the generations on each other, the oldest at the bottom.
function stack(points: Point[]): Stack {
  const counts = new Map<number, Count>();
  for (const p of points) for (const g of p.generations) if (g.sessions > 0 || counts.has(g.number)) counts.set(g.number, g.colour === "" ? { ...g, colour: counts.get(g.number)?.colour ?? "" } : g);
  const order = [...counts.keys()].sort((a, b) => a - b);
  const xs = points.map((p) => new Date(p.at).getTime() / 1000);
  let below = points.map(() => 0);
  const rows = order.map((n) => {
    below = points.map((p, i) => below[i]! + (p.generations.find((g) => g.number === n)?.sessions ?? 0));
    return below;
  });
  return { data: [xs, ...rows], counts, order };
}

const css = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// paint is the colour of a generation: of its slot, in turns darker, so that two of one colour differ.
function paint(c: Count): string {
  const slot = c.colour === "blue" || c.colour === "green" ? c.colour : "grey";
  return css(`--${slot}-${Math.floor((c.number - 1) / 2) % 2}`);
}

// Chart is the tide: sessions by generation over time, with marks and the forecast of what drains.
export class Chart {
  private plot: uPlot | null = null;
  private shape = "";
  private points: Point[] = [];
  private marks: Mark[] = [];
  private drain: Drain | null = null;
  private window = 600;

  constructor(private readonly place: HTMLElement) {
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.shape = "";
      this.draw();
    });
  }

  show(points: Point[], marks: Mark[], drain: Drain | null, window: number): void {
    const first = Date.now() / 1000 - window;
    this.points = points.filter((p) => new Date(p.at).getTime() / 1000 >= first);
    this.marks = marks;
    this.drain = drain;
    this.window = window;
    this.draw();
  }

  private size(): { width: number; height: number } {
    return { width: Math.max(200, this.place.clientWidth), height: this.place.clientWidth < 500 ? 220 : 300 };
  }

  // range leaves room for the forecast, but no more than as much as is shown of the past.
  private range(): [number, number] {
    const now = Date.now() / 1000;
    const oldest = this.points[0] ? new Date(this.points[0].at).getTime() / 1000 : now - 60;
    const from = Math.min(Math.max(oldest, now - this.window), now - 30);
    const high = this.drain?.forecast ? new Date(this.drain.forecast.high).getTime() / 1000 : now;
    return [from, Math.max(now, Math.min(high, now + (now - from)))];
  }

  private draw(): void {
    if (this.points.length === 0) {
      this.place.classList.add("empty");
      return;
    }
    this.place.classList.remove("empty");
    const s = stack(this.points);
    const shape = JSON.stringify(s.order.map((n) => [n, s.counts.get(n)!.colour]));
    if (this.plot === null || shape !== this.shape) {
      this.plot?.destroy();
      this.shape = shape;
      this.plot = new uPlot(this.options(s), s.data, this.place);
    } else {
      this.plot.setData(s.data, false);
    }
    const [min, max] = this.range();
    this.plot.setScale("x", { min, max });
  }

  private options(s: Stack): uPlot.Options {
    const ink = css("--ink");
    const grid = { stroke: css("--line"), width: 1 };
    const series: uPlot.Series[] = s.order.map((n, i) => {
      const c = s.counts.get(n)!;
      return {
        label: `${c.colour || "gone"} ${c.version}`,
        stroke: paint(c),
        width: 1.5,
        points: { show: false },
        fill: i === 0 ? paint(c) + "cc" : undefined,
        value: (u, _v, si, di) => (di === null ? "" : num((u.data[si]![di] ?? 0) - (si > 1 ? (u.data[si - 1]![di] ?? 0) : 0))),
      } as uPlot.Series;
    });
    const bands: uPlot.Band[] = s.order.slice(1).map((n, i) => ({ series: [i + 2, i + 1], fill: paint(s.counts.get(n)!) + "cc" }));
    return {
      ...this.size(),
      series: [{ label: "time", value: (_u, v) => (v === null ? "" : clock(v * 1000)) }, ...series],
      bands,
      scales: { x: { time: true }, y: { range: (_u, _min, max) => [0, Math.max(4, max * 1.12)] } },
      axes: [
        { stroke: ink, grid, ticks: grid, values: [[1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1], [60, "{HH}:{mm}", null, null, null, null, null, null, 1]] as never },
        { stroke: ink, grid, ticks: grid, size: 56, values: (_u, vs) => vs.map((v) => (Number.isInteger(v) ? num(v) : "")) },
      ],
      legend: { markers: { fill: (_u, i) => paint(s.counts.get(s.order[i - 1]!)!) } },
      cursor: { drag: { x: false, y: false }, y: false },
      hooks: { draw: [(u) => this.forecast(u), (u) => this.drawMarks(u)] },
    };
  }

  // forecast is the band within which the old generation is empty, with its middle.
  private forecast(u: uPlot): void {
    const f = this.drain?.forecast;
    if (!f || this.drain?.state !== "draining") return;
    const edge = u.bbox.left + u.bbox.width;
    const at = (t: string): number => Math.max(u.bbox.left, u.valToPos(new Date(t).getTime() / 1000, "x", true));
    const [low, mid, high] = [at(f.low), at(f.median), at(f.high)];
    const c = u.ctx;
    c.save();
    c.fillStyle = css("--band");
    if (low < edge) c.fillRect(low, u.bbox.top, Math.max(2, Math.min(edge, high) - low), u.bbox.height);
    c.strokeStyle = c.fillStyle = css("--ink");
    c.setLineDash([6, 6]);
    if (mid < edge) {
      c.beginPath();
      c.moveTo(mid, u.bbox.top);
      c.lineTo(mid, u.bbox.top + u.bbox.height);
      c.stroke();
    }
    c.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    c.textAlign = "right";
    const text = `empty about ${clock(f.median)}${mid < edge ? "" : " →"}`;
    c.fillText(text, Math.max(u.bbox.left + c.measureText(text).width, Math.min(edge, mid) - 4 * devicePixelRatio), u.bbox.top + 28 * devicePixelRatio);
    c.restore();
  }

  private drawMarks(u: uPlot): void {
    const c = u.ctx;
    const ratio = devicePixelRatio;
    c.save();
    c.strokeStyle = c.fillStyle = css("--ink");
    c.font = `${11 * ratio}px system-ui, sans-serif`;
    c.textAlign = "center";
    let ends = -Infinity;
    for (const m of this.marks) {
      const x = u.valToPos(m.at, "x", true);
      if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
      c.setLineDash([2, 4]);
      c.beginPath();
      c.moveTo(x, u.bbox.top + 16 * ratio);
      c.lineTo(x, u.bbox.top + u.bbox.height);
      c.stroke();
      const text = `${m.sign} ${m.text}`;
      const half = c.measureText(text).width / 2;
      const fits = x - half > ends;
      c.fillText(fits ? text : m.sign, x, u.bbox.top + 12 * ratio);
      ends = x + (fits ? half : 4 * ratio) + 4 * ratio;
    }
    c.restore();
  }
}
