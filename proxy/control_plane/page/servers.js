// The list of servers: health, circuit, endpoints, and how calls to each have gone.

import { byId, explain, painter, stamp, write, writeState } from "./dom.js";
import { draw } from "./plots.js";
import { count, counted, latency, moment, rate, share, spoken, tone } from "./words.js";

const LEAST_RATE = 0.5;
const LEAST_ERRORS = 0.1;
const LEAST_MS = 1;

export class Servers {
  #stats;
  #now;
  #showEvents;
  #servers = new Map();
  #rows = new Map();
  #onScreen = new Set();
  #watcher = new IntersectionObserver((entries) => this.#seen(entries));
  #name = byId("server-name");
  #trouble = byId("server-trouble");
  paint = painter(() => this.#paint());

  constructor(stats, now, showEvents) {
    this.#stats = stats;
    this.#now = now;
    this.#showEvents = showEvents;
    this.#name.addEventListener("input", this.paint);
    this.#trouble.addEventListener("change", this.paint);
  }

  get names() {
    return [...this.#servers.keys()];
  }

  state(name) {
    return this.#servers.get(name);
  }

  take(health) {
    const sorted = [...health.servers].sort((a, b) => (a.namespace < b.namespace ? -1 : 1));
    this.#servers = new Map(sorted.map((server) => [server.namespace, server]));
    this.paint();
  }

  /** An event says what the next snapshot will: show it now. */
  healthChanged(event) {
    const server = this.#servers.get(event.server_name);
    const endpoint = server?.endpoints.find((each) => each.url === event.endpoint);
    if (!endpoint) return;
    Object.assign(endpoint, { status: event.status, reason: event.reason, since: event.timestamp });
    if (server.endpoints.length === 1) server.status = event.status;
    this.paint();
  }

  circuitChanged(event) {
    const server = this.#servers.get(event.server_name);
    if (!server) return;
    server.circuit.state = event.state;
    this.paint();
  }

  #paint() {
    const shown = this.names.filter((name) => this.#isShown(this.#servers.get(name)));
    write(byId("servers-count"), counts(shown.length, this.#servers.size));
    this.#arrange(shown);
    for (const name of this.#onScreen) this.#fill(name);
    this.#paintTotals();
    explain(byId("servers-nothing"), this.#whyNothing(shown.length));
  }

  #isShown(server) {
    const wanted = this.#name.value.trim().toLowerCase();
    if (!server.namespace.toLowerCase().includes(wanted)) return false;
    return !this.#trouble.checked || inTrouble(server);
  }

  #whyNothing(shown) {
    if (shown) return "";
    return this.#servers.size ? "No server matches." : "The registry has no servers.";
  }

  #arrange(shown) {
    const wanted = new Set(shown);
    for (const [name, row] of this.#rows) {
      if (wanted.has(name)) continue;
      this.#watcher.unobserve(row.root);
      this.#onScreen.delete(name);
      this.#rows.delete(name);
      row.root.remove();
    }
    let place = byId("server-rows").firstElementChild;
    for (const name of shown) {
      const { root } = this.#rows.get(name) ?? this.#newRow(name);
      if (root === place) place = place.nextElementSibling;
      else byId("server-rows").insertBefore(root, place);
    }
  }

  #newRow(name) {
    const row = stamp("server-row");
    row.root.dataset.name = name;
    write(row.name, name);
    row.filter.addEventListener("click", () => this.#showEvents(name));
    row.root.firstElementChild.addEventListener("toggle", () => this.#fill(name));
    this.#rows.set(name, row);
    this.#watcher.observe(row.root);
    this.#fill(name);
    return row;
  }

  #seen(entries) {
    for (const { target, isIntersecting } of entries) {
      const { name } = target.dataset;
      if (isIntersecting && this.#rows.has(name)) {
        this.#onScreen.add(name);
        this.#fill(name);
      } else this.#onScreen.delete(name);
    }
  }

  #fill(name) {
    const row = this.#rows.get(name);
    const server = this.#servers.get(name);
    if (!row || !server) return;
    const circuit = server.circuit.state;
    writeState(row.health, row.healthWord, tone(server.status), spoken(server.status));
    writeState(row.circuit, row.circuitWord, tone(circuit), `circuit ${spoken(circuit)}`);
    row.circuit.hidden = circuit === "closed";
    const usable = `${count(server.usable)} of ${count(server.endpoints.length)} up`;
    write(row.endpointCount, server.queued ? `${usable}, ${server.queued} queued` : usable);
    fillFigures(row, this.#stats.servers.get(name), this.#now(), this.#stats.seenSince);
    if (row.root.firstElementChild.open) fillMore(row, server);
  }

  #paintTotals() {
    const servers = [...this.#servers.values()];
    const up = servers.filter((server) => server.usable > 0).length;
    const open = servers.filter((server) => server.circuit.state !== "closed").length;
    write(byId("total-up"), servers.length ? `${count(up)} of ${count(servers.length)}` : "none");
    write(byId("total-up-note"), open ? `${counted(open, "circuit")} not closed` : "\u00a0");
    fillFigures(TOTALS, this.#stats.all, this.#now(), this.#stats.seenSince);
  }
}

const TOTALS = {
  rate: byId("total-rate"),
  errors: byId("total-errors"),
  latency: byId("total-latency"),
  ratePlot: byId("total-rate-plot"),
  errorsPlot: byId("total-errors-plot"),
  latencyPlot: byId("total-latency-plot"),
};

const counts = (shown, all) => (shown === all ? count(all) : `${count(shown)} of ${count(all)}`);

function inTrouble(server) {
  const ill = (endpoint) => !endpoint.usable;
  return !server.usable || server.circuit.state !== "closed" || server.endpoints.some(ill);
}

function fillFigures(row, window, now, seenSince) {
  const figures = window?.recent(now, seenSince);
  write(row.rate, rate(figures?.rate ?? 0));
  write(row.errors, share(figures?.errors ?? null));
  write(row.latency, latency(figures?.p50 ?? null, figures?.p95 ?? null));
  if (!window) return;
  const series = window.series(now, seenSince);
  draw(row.ratePlot, [series.rate], LEAST_RATE);
  draw(row.errorsPlot, [series.errors], LEAST_ERRORS);
  draw(row.latencyPlot, [series.p95, series.p50], LEAST_MS);
}

function fillMore(row, server) {
  const { circuit } = server;
  const facts = [
    `Circuit ${spoken(circuit.state)}`,
    counted(circuit.total_calls, "call"),
    `${share(circuit.failure_rate)} failed`,
  ];
  if (circuit.state === "open") facts.push(`next try in ${Math.ceil(circuit.retry_after_s)} s`);
  if (circuit.last_failure_time) facts.push(`last failure ${moment(circuit.last_failure_time)}`);
  facts.push(`${count(server.in_flight)} in flight`);
  write(row.circuitFacts, facts.join(" · "));
  const fresh = JSON.stringify(server.endpoints);
  if (row.endpoints.dataset.shown === fresh) return; // what a reader has selected stays selected
  row.endpoints.dataset.shown = fresh;
  row.endpoints.replaceChildren(...server.endpoints.map(endpointRow));
}

function endpointRow(endpoint) {
  const row = stamp("endpoint-row");
  const ejected = endpoint.ejected && endpoint.status === "healthy";
  const word = ejected ? "ejected" : spoken(endpoint.status);
  writeState(row.state, row.word, ejected ? "warn" : tone(endpoint.status), word);
  write(row.url, endpoint.url);
  const why = [endpoint.reason];
  if (endpoint.since) why.push(`since ${moment(endpoint.since)}`);
  if (endpoint.weight !== 1) why.push(`weight ${endpoint.weight}`);
  why.push(`${count(endpoint.in_flight)} in flight`);
  write(row.why, why.join(" · "));
  return row.root;
}
