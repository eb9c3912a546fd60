// The way to the daemon: every request brings the token, in a header that no other page can make a browser send.

const place = "ebbtide-token";

export class Failure extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

// The token comes behind the # of the address and is taken off it, so that it is in no bookmark and no screenshot.
export function takeToken(): void {
  if (location.hash.length > 1) {
    setToken(location.hash.slice(1));
    history.replaceState(null, "", location.pathname);
  }
}

export function setToken(token: string): void {
  sessionStorage.setItem(place, token.trim());
}

async function request(method: string, path: string, body?: unknown, signal?: AbortSignal, headers: Record<string, string> = {}): Promise<Response> {
  const all: Record<string, string> = { ...headers, Authorization: `Bearer ${sessionStorage.getItem(place) ?? ""}` };
  if (body !== undefined) all["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers: all, body: body === undefined ? null : JSON.stringify(body), signal: signal ?? null, credentials: "omit" });
  if (!answer.ok) {
    const text = await answer.text();
    let message = text.trim();
    try {
      message = (JSON.parse(text) as { error: string }).error;
    } catch {
      // it is plain text
    }
    throw new Failure(answer.status, message);
  }
  return answer;
}

export async function get<T>(path: string): Promise<T> {
  return (await request("GET", path)).json() as Promise<T>;
}

export async function post<T>(path: string, body: unknown): Promise<T> {
  return (await request("POST", path, body)).json() as Promise<T>;
}

// lines reads a document a line; the last may be an error.
export async function lines<T>(path: string, body: unknown, each: (item: T) => void, signal?: AbortSignal): Promise<void> {
  const answer = await request("POST", path, body, signal);
  await pieces(answer, "\n", (text) => {
    const item = JSON.parse(text) as T & { error?: string; code?: string };
    if (item.error !== undefined && item.code !== undefined) throw new Failure(0, item.error);
    each(item);
  });
}

// follow reads server-sent events for as long as the signal lets it, and comes back where the connection broke. EventSource
// could not bring the token.
export async function follow(path: string, signal: AbortSignal, each: (kind: string, data: unknown) => void, state: (live: boolean, why?: Failure) => void): Promise<void> {
  let last = "";
  for (let wait = 500; !signal.aborted; wait = Math.min(wait * 2, 8000)) {
    let why: Failure | undefined;
    try {
      const answer = await request("GET", path, undefined, signal, last === "" ? {} : { "Last-Event-ID": last });
      state(true);
      wait = 500;
      await pieces(answer, "\n\n", (text) => {
        let kind = "";
        for (const line of text.split("\n")) {
          if (line.startsWith("event: ")) kind = line.slice(7);
          if (line.startsWith("id: ")) last = line.slice(4);
          if (line.startsWith("data: ")) each(kind, JSON.parse(line.slice(6)));
        }
      });
    } catch (err) {
      if (err instanceof Failure) why = err;
    }
    if (signal.aborted) return;
    state(false, why);
    if (why?.status === 401) return;
    await new Promise((done) => setTimeout(done, wait));
  }
}

async function pieces(answer: Response, end: string, each: (text: string) => void): Promise<void> {
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    rest += value ?? "";
    for (let at = rest.indexOf(end); at >= 0; at = rest.indexOf(end)) {
      const text = rest.slice(0, at).trim();
      rest = rest.slice(at + end.length);
      if (text !== "") each(text);
    }
    if (done) return;
  }
}
