import type { Ref } from "./types";

const group = new Intl.NumberFormat("en");

export const num = (n: number): string => group.format(n);

export const sessions = (n: number): string => `${num(n)} ${n === 1 ? "session" : "sessions"}`;

export function named(r: Ref): string {
  return r.number === 0 ? "none" : `generation ${r.number} (${r.colour === "" ? "" : r.colour + ", "}version ${r.version})`;
}

export function span(seconds: number): string {
  const s = Math.round(seconds);
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 48 * 3600) return `${(s / 3600).toFixed(1)} h`;
  return `${(s / 86400).toFixed(1)} days`;
}

export function clock(at: string | number | Date): string {
  const t = new Date(at);
  const time = t.toLocaleTimeString("en-GB");
  return t.toDateString() === new Date().toDateString() ? time : `${t.toLocaleDateString("en-CA")} ${time}`;
}

export function fromNow(at: string): string {
  const s = (new Date(at).getTime() - Date.now()) / 1000;
  return s >= 0 ? `in ${span(s)}` : `${span(-s)} ago`;
}
