// Documents of the sidecar, asked for again when they may have changed, never twice at once.

const TIMEOUT_MS = 10000;

// Between two fetches lies this many times what the last one took.
const REST = 10;

/** One document: `ask()` as often as you like, it is fetched again after `apartMs`, or later. */
export class Snapshot {
  #url;
  #apartMs;
  #take;
  #busy = false;
  #wanted = false;
  #nextAt = -Infinity;
  #timer = 0;

  constructor(url, apartMs, take) {
    this.#url = url;
    this.#apartMs = apartMs;
    this.#take = take;
  }

  ask() {
    if (this.#busy) {
      this.#wanted = true;
      return;
    }
    if (this.#timer) return;
    const wait = Math.max(this.#nextAt - performance.now(), 0);
    this.#timer = setTimeout(() => this.#fetch(), wait);
  }

  async #fetch() {
    this.#timer = 0;
    this.#busy = true;
    const began = performance.now();
    const answer = await answerOf(this.#url);
    const took = performance.now() - began;
    this.#nextAt = began + Math.max(this.#apartMs, took * REST);
    this.#busy = false;
    if (answer) this.#take(answer.document, answer);
    if (this.#wanted) {
      this.#wanted = false;
      this.ask();
    }
  }
}

/** The JSON behind a URL with its status and the sidecar's time; null when there is none. */
export async function answerOf(url) {
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(TIMEOUT_MS)]);
  try {
    const response = await fetch(url, { cache: "no-store", signal });
    if (!response.headers.get("Content-Type")?.includes("json")) return null;
    const sentAt = Date.parse(response.headers.get("Date") ?? "");
    return { document: await response.json(), status: response.status, ok: response.ok, sentAt };
  } catch {
    return null; // the stream's state already says that the sidecar is away
  } finally {
    stop.abort(); // of what is no document nothing more is read
  }
}
