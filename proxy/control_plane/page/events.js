// The list of events, newest first: filters, pause, and one row for each that is shown.

import { byId, explain, offer, painter, stamp, write } from "./dom.js";
import { entryOf } from "./history.js";
import { answerOf } from "./snapshots.js";
import { subjectOf, taleOf } from "./tales.js";
import { clock, count, counted, duration, tone } from "./words.js";

const MOST_ROWS = 500;
// Where many come, nobody reads them one by one; to paint seldom leaves time for all else.
const MANY = 40;
const MANY_APART_MS = 300;
const TYPING_MS = 200;
const SHORT_TRACE = 15;
const FOCUSED = ":focus-visible";

export class Events {
  #history;
  #fetched = []; // what the sidecar found for these filters, beyond what came live
  #shown = []; // newest first, one row each
  #waiting = []; // oldest first, not in the list yet
  #missed = 0; // of those that waited, how many had to go
  #paused = false;
  #open = 0;
  #asked = 0;
  #typing = 0;
  #list = byId("event-rows");
  #type = byId("event-type");
  #server = byId("event-server");
  #status = byId("event-status");
  #trace = byId("event-trace");
  paint = painter(() => this.#paint(), () => (this.#waiting.length > MANY ? MANY_APART_MS : 0));

  constructor(history) {
    this.#history = history;
    for (const select of [this.#type, this.#server, this.#status]) {
      select.addEventListener("change", () => this.refilter());
    }
    this.#trace.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.refilter(), TYPING_MS);
    });
    this.#trace.form.addEventListener("reset", () => setTimeout(() => this.refilter()));
    this.#trace.form.addEventListener("submit", (submission) => submission.preventDefault());
    byId("pause").addEventListener("click", () => this.#pause(!this.#paused));
    byId("newer").addEventListener("click", () => this.#showNewer());
    this.#list.addEventListener("scroll", this.paint, { passive: true });
  }

  /** A new one came. */
  add(entry) {
    if (!this.#matches(entry)) return;
    this.#waiting.push(entry);
    if (this.#waiting.length > MOST_ROWS * 1.2) {
      this.#missed += this.#waiting.splice(0, this.#waiting.length - MOST_ROWS).length;
    }
    this.paint();
  }

  offerTypes(types) {
    offer(this.#type, types);
  }

  offerServers(names) {
    offer(this.#server, names);
  }

  showServer(name) {
    this.#server.value = name;
    this.refilter();
    byId("events").focus();
  }

  /** Others came to light, of any time. */
  merge(entries) {
    if (this.#held) for (const entry of entries) this.add(entry);
    else this.rebuild();
  }

  /** Show what matches now, and ask the sidecar what else it remembers of it. */
  async refilter() {
    this.#fetched = [];
    this.rebuild();
    const asked = (this.#asked += 1);
    const filters = this.#query();
    byId("event-reset").hidden = !filters.toString();
    if (!filters.toString()) return;
    filters.set("format", "json");
    filters.set("limit", "200");
    const answer = await answerOf(`events?${filters}`);
    if (!answer?.ok || asked !== this.#asked) return;
    const found = answer.document.events.map((event) => entryOf(event));
    this.#fetched = found.filter((entry) => this.#matches(entry));
    this.rebuild();
  }

  /** Make the list anew of all that is remembered. */
  rebuild() {
    const live = this.#history.newest((entry) => this.#matches(entry), MOST_ROWS);
    const known = new Set(live.map((entry) => entry.id));
    const others = this.#fetched.filter((entry) => !known.has(entry.id));
    this.#shown = [...live, ...others].sort((a, b) => b.at - a.at).slice(0, MOST_ROWS);
    this.#waiting = [];
    this.#missed = 0;
    this.#open = 0;
    this.#list.replaceChildren(...this.#shown.map((entry) => this.#row(entry)));
    this.#list.scrollTop = 0;
    this.paint();
  }

  #query() {
    const filters = new URLSearchParams();
    if (this.#type.value) filters.set("event_type", this.#type.value);
    if (this.#server.value) filters.set("server", this.#server.value);
    if (this.#status.value) filters.set("status", this.#status.value);
    if (this.#trace.value.trim()) filters.set("trace_id", this.#trace.value.trim());
    return filters;
  }

  #matches(entry) {
    if (this.#type.value && entry.type !== this.#type.value) return false;
    if (this.#server.value && entry.server !== this.#server.value) return false;
    if (this.#status.value && !isOf(entry, this.#status.value)) return false;
    const trace = this.#trace.value.trim();
    return !trace || entry.trace === trace;
  }

  #pause(paused) {
    this.#paused = paused;
    byId("pause").setAttribute("aria-pressed", String(paused));
    write(byId("pause"), paused ? "Resume" : "Pause");
    this.paint();
  }

  #showNewer() {
    this.#pause(false);
    this.rebuild();
    this.#list.focus();
  }

  /** Somebody is reading: nothing moves. */
  get #held() {
    const { scrollTop } = this.#list;
    return this.#paused || this.#open > 0 || scrollTop > 0 || this.#list.querySelector(FOCUSED);
  }

  #paint() {
    if (!this.#held) this.#showWaiting();
    const newer = this.#waiting.length + this.#missed;
    byId("newer").hidden = !newer;
    write(byId("newer"), `Show ${counted(newer, "newer event")}`);
    write(byId("events-count"), count(this.#shown.length));
    const filtered = Boolean(this.#query().toString());
    const reason = filtered ? "No event matches." : "Nothing has happened yet.";
    explain(byId("events-nothing"), this.#shown.length ? "" : reason);
  }

  #showWaiting() {
    const fresh = this.#waiting.splice(0).slice(-MOST_ROWS).reverse();
    this.#missed = 0;
    if (!fresh.length) return;
    const rows = document.createDocumentFragment();
    for (const entry of fresh) rows.append(this.#row(entry));
    this.#list.prepend(rows);
    this.#shown.unshift(...fresh);
    this.#shown.splice(MOST_ROWS);
    while (this.#list.children.length > MOST_ROWS) this.#list.lastElementChild.remove();
  }

  #row(entry) {
    const row = stamp("event-row");
    row.root.dataset.tone = toneOf(entry);
    write(row.status, entry.status || "note");
    write(row.subject, subjectOf(entry));
    write(row.took, entry.ms === null ? "" : duration(entry.ms));
    write(row.time, clock(entry.at));
    row.time.dateTime = new Date(entry.at).toISOString();
    write(row.type, entry.type);
    write(row.tale, taleOf(entry));
    row.open.addEventListener("click", () => this.#toggle(row, entry));
    if (entry.trace) this.#linkTrace(row.trace, entry.trace);
    return row.root;
  }

  #linkTrace(button, trace) {
    const short = trace.length > SHORT_TRACE ? `${trace.slice(0, SHORT_TRACE - 1)}…` : trace;
    button.hidden = false;
    write(button, short);
    button.title = trace;
    button.setAttribute("aria-label", `Only events of trace ${trace}`);
    button.addEventListener("click", () => {
      this.#trace.value = trace;
      this.refilter();
      this.#trace.focus();
    });
  }

  #toggle(row, entry) {
    const open = row.open.getAttribute("aria-expanded") !== "true";
    row.open.setAttribute("aria-expanded", String(open));
    this.#open += open ? 1 : -1;
    if (open) {
      const document_ = document.createElement("pre");
      document_.tabIndex = 0;
      write(document_, JSON.stringify(entry.event, null, 2));
      row.root.append(document_);
    } else row.root.lastElementChild.remove();
    this.paint();
  }
}

/** Some say `error` where others say `failure`. */
const isOf = (entry, status) =>
  entry.status === status || (status === "failure" && entry.failed);

function toneOf(entry) {
  if (entry.type === "circuit_state") return tone(entry.event.state);
  if (entry.type === "registry_rejected" || entry.type === "authorization_denied") return "warn";
  return tone(entry.type === "gap" ? "gap" : entry.status);
}
