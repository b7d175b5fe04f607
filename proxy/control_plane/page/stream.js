// The live stream of events, for as long as the page is open.

const BACK_OFF_MS = 1000;
const LONGEST_MS = 30000;
// EventSource hears only names that it was told; others are learnt from `/events?format=json`.
const NAMES = [
  "tool_invoked", "server_registered", "server_unregistered", "server_changed", "server_health",
  "circuit_state", "registry_reloaded", "registry_rejected", "authorization_denied",
  "gateway_started", "gateway_draining", "gateway_stopped", "error", "gap", "message",
];

/** `heard(name, event)` for each message; `changed("live" | "reconnecting" | "resting")`. */
export class Stream {
  #url;
  #heard;
  #changed;
  #names = new Set(NAMES);
  #source = null;
  #lastId = "";
  #failures = 0;
  #retry = 0;

  constructor(url, heard, changed) {
    this.#url = url;
    this.#heard = heard;
    this.#changed = changed;
  }

  get names() {
    return [...this.#names].filter((name) => name !== "message");
  }

  learn(name) {
    if (this.#names.has(name)) return;
    this.#names.add(name);
    this.#source?.addEventListener(name, this.#read);
  }

  open() {
    if (this.#source) return;
    const resume = this.#lastId ? `?last_event_id=${encodeURIComponent(this.#lastId)}` : "";
    this.#source = new EventSource(this.#url + resume);
    for (const name of this.#names) this.#source.addEventListener(name, this.#read);
    this.#source.onopen = () => {
      this.#failures = 0;
      this.#changed("live");
    };
    this.#source.onerror = (failure) => this.#lost(failure);
  }

  /** Give the connection back: a browser has six for all its pages of one sidecar. */
  rest() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
    this.#changed("resting");
  }

  #read = (message) => {
    if (!(message instanceof MessageEvent)) return; // a failure is called "error" as well
    if (message.lastEventId) this.#lastId = message.lastEventId;
    let event;
    try {
      event = JSON.parse(message.data);
    } catch {
      return;
    }
    this.#heard(message.type, event);
  };

  #lost(failure) {
    if (failure instanceof MessageEvent || failure.target !== this.#source) return;
    this.#changed("reconnecting");
    if (this.#source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    this.#source = null;
    this.#failures += 1;
    const longest = Math.min(BACK_OFF_MS * 2 ** (this.#failures - 1), LONGEST_MS);
    this.#retry = setTimeout(() => this.open(), longest * (0.5 + Math.random() / 2));
  }
}
