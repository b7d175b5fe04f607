// The table of tools, a page of it at a time: a registry may have 100 000.

import { byId, explain, painter, stamp, write, writeState } from "./dom.js";
import { NONE, count, duration, spoken, tone } from "./words.js";

const PAGE_ROWS = 25;
const TYPING_MS = 120;

export class Tools {
  #stats;
  #stateOf;
  #tools = [];
  #matching = [];
  #page = 0;
  #sort = { by: "name", falling: false };
  #rows = Array.from({ length: PAGE_ROWS }, () => stamp("tool-row"));
  #text = byId("tool-text");
  #state = byId("tool-state");
  #typing = 0;
  paint = painter(() => this.#paint());

  /** `stateOf(namespace)` is the server's row of `/health`. */
  constructor(stats, stateOf) {
    this.#stats = stats;
    this.#stateOf = stateOf;
    this.#text.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#restart(), TYPING_MS);
    });
    this.#state.addEventListener("change", () => this.#restart());
    byId("tool-back").addEventListener("click", () => this.#turn(-1));
    byId("tool-on").addEventListener("click", () => this.#turn(1));
    for (const button of document.querySelectorAll("[data-sort]")) {
      button.addEventListener("click", () => this.#sortBy(button));
    }
  }

  take(document) {
    this.#tools = document.tools;
    this.#match();
  }

  /** Calls or health have changed: what is sorted or chosen by them is found anew. */
  refresh() {
    if (this.#sort.by === "name" && !this.#state.value) this.paint();
    else this.#match();
  }

  #restart() {
    this.#page = 0;
    this.#match();
  }

  #turn(pages) {
    this.#page += pages;
    this.paint();
  }

  #sortBy(button) {
    const by = button.dataset.sort;
    const falling = this.#sort.by === by ? !this.#sort.falling : by !== "name";
    this.#sort = { by, falling };
    for (const heading of document.querySelectorAll("[aria-sort]")) {
      heading.removeAttribute("aria-sort");
    }
    button.parentElement.setAttribute("aria-sort", falling ? "descending" : "ascending");
    this.#restart();
  }

  #match() {
    const text = this.#text.value.trim().toLowerCase();
    const found = this.#tools.filter((tool) => this.#isShown(tool, text));
    const { by, falling } = this.#sort;
    if (by === "name") {
      if (falling) found.reverse(); // they come sorted
    } else {
      const keyed = found.map((tool) => [this.#figure(tool, by), tool]);
      keyed.sort((a, b) => (falling ? b[0] - a[0] : a[0] - b[0]));
      found.splice(0, found.length, ...keyed.map(([, tool]) => tool));
    }
    this.#matching = found;
    this.paint();
  }

  #isShown(tool, text) {
    const said = `${tool.name} ${tool.description ?? ""}`.toLowerCase();
    if (!said.includes(text)) return false;
    if (this.#state.value === "called") return this.#stats.tools.has(tool.name);
    if (this.#state.value) return this.#isUsable(tool) === (this.#state.value === "usable");
    return true;
  }

  #isUsable(tool) {
    const server = this.#stateOf(tool.namespace);
    return tool.available && (!server || (server.usable > 0 && server.circuit.state !== "open"));
  }

  #figure(tool, by) {
    const tally = this.#stats.tools.get(tool.name);
    return (by === "p95" ? tally?.latencies.quantile(0.95) : tally?.[by]) ?? -1;
  }

  #paint() {
    const all = this.#tools.length;
    const found = this.#matching.length;
    const last = Math.max(Math.ceil(found / PAGE_ROWS) - 1, 0);
    this.#page = Math.min(Math.max(this.#page, 0), last);
    const first = this.#page * PAGE_ROWS;
    const shown = this.#matching.slice(first, first + PAGE_ROWS);
    shown.forEach((tool, at) => this.#fill(this.#rows[at], tool));
    this.#place(shown.length);
    write(byId("tools-count"), found === all ? count(all) : `${count(found)} of ${count(all)}`);
    explain(byId("tools-nothing"), whyNothing(found, all));
    byId("tool-pages").hidden = found <= PAGE_ROWS;
    byId("tool-back").disabled = this.#page === 0;
    byId("tool-on").disabled = this.#page === last;
    const range = `${count(first + 1)}–${count(first + shown.length)} of ${count(found)}`;
    write(byId("tool-page"), range);
  }

  #place(wanted) {
    const body = byId("tool-rows");
    while (body.children.length > wanted) body.lastElementChild.remove();
    while (body.children.length < wanted) body.append(this.#rows[body.children.length].root);
  }

  #fill(row, tool) {
    const [tone_, word] = this.#verdict(tool);
    write(row.name, tool.name);
    write(row.description, tool.description ?? "");
    writeState(row.state, row.word, tone_, word);
    const tally = this.#stats.tools.get(tool.name);
    write(row.calls, tally ? count(tally.calls) : NONE);
    write(row.failed, tally ? count(tally.failed) : NONE);
    row.failed.classList.toggle("some", Boolean(tally?.failed));
    write(row.p95, duration(tally?.latencies.quantile(0.95)));
  }

  #verdict(tool) {
    if (!tool.available) return ["warn", `missing ${tool.missing_credentials.join(", ")}`];
    const server = this.#stateOf(tool.namespace);
    const circuit = server?.circuit.state ?? tool.circuit_state;
    if (circuit === "open") return [tone(circuit), "circuit open"];
    const health = server?.status ?? tool.health_status;
    if (server && !server.usable) return [tone(health), spoken(health)];
    return ["good", "yes"];
  }
}

function whyNothing(found, all) {
  if (found) return "";
  return all ? "No tool matches." : "The registry has no tools.";
}
