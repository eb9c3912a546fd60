// What the API answers, as far as the page shows it. docs of each field: GET /v1/openapi.json on the socket.

export interface Ref {
  number: number;
  colour: string;
  version: string;
}

export interface Sessions {
  half_open: number;
  young: number;
  established: number;
  closing: number;
  evicting: number;
  total: number;
}

export interface Health {
  well: boolean;
  sick: string;
}

export interface Backend {
  id: number;
  addresses: string[];
  port: number;
  weight: number;
  health?: Health;
  state: string;
  sessions: number;
  occupancy?: { players?: number; free?: number };
  next_hops: { state: string; reason: string }[] | null;
}

export interface Generation extends Ref {
  state: string;
  roles?: string[];
  reason: string;
  since: string;
  sessions: Sessions;
  new: number;
  unpinned: number;
  new_since_flip: number;
  reopened_since_flip: number;
  backends: Backend[] | null;
}

export interface ReleaseGate {
  gate: string;
  verdict: string;
  on_fail: string;
  detail: string;
}

export interface Release {
  number: number;
  service: string;
  strategy: string;
  state: string;
  stopped_in: string;
  since: string;
  why: string;
  waits: string;
  from: Ref;
  to: Ref;
  by: string;
  deadline?: string;
  left: number;
  at_flip: number;
  step: number;
  steps: number;
  notices: number;
  gates?: ReleaseGate[];
  over: boolean;
}

export interface Service {
  name: string;
  group?: string;
  forwarding: string;
  problem: string;
  live: Ref;
  listeners: { vip: string; protocol: string; ports: string; sessions: number }[];
  lock?: { by: string; reason: string; until: string };
  freeze?: { reason: string; until: string };
  closed?: string;
  releases?: Release[];
  generations: Generation[] | null;
}

export interface Status {
  version: string;
  interfaces: { name: string; mode: string; attached: boolean; problem: string }[] | null;
  tables: { family: string; slots: number; used: number; overflow: number }[] | null;
  services: Service[] | null;
  upgrade: string;
}

export interface Plan {
  strategy: string;
  ok: boolean;
  checks: { name: string; ok: boolean; detail: string }[] | null;
  steps: { state: string; what: string; hooks?: string[] }[] | null;
}

export interface Drain {
  service: string;
  generation: Ref;
  state: string;
  reason: string;
  left: Sessions;
  rate_per_second: number;
  empty_at?: string;
  verdict?: string;
  evidence?: string;
  forecast?: { median: string; low: string; high: string; confidence: number; older_than_99: number };
  rest?: {
    looked: number;
    oldest_seconds: number;
    median_seconds: number;
    idle_seconds: number;
    idle: number;
    one_way: number;
    lingering: number;
    reopened: number;
    clients?: { client: string; sessions: number }[];
  };
  new_since_flip: number;
  reopened: number;
}

export interface JournalEvent {
  seq: number;
  time: string;
  actor: { user: string; daemon?: boolean };
  act: string;
  stage: string;
  service?: string;
  reason?: string;
  before?: unknown;
  after?: unknown;
}

export interface Reason {
  reason: string;
  count: number;
  rate_per_second: number;
  meaning: string;
  advice: string;
}

export interface Count extends Ref {
  sessions: number;
}

export interface Point {
  at: string;
  generations: Count[];
}

export interface FlipResult {
  service: string;
  changed: boolean;
  live: Ref;
  old?: Ref;
  new_on_old: number;
  sessions_on_old: number;
}

export interface EvictProgress {
  found: number;
  marked: number;
  moved: number;
  evicting: number;
  done: boolean;
}
