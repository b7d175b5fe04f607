// The dashboard: what comes from the sidecar, and to which part of the page it goes.

import { byId, write } from "./dom.js";
import { Events } from "./events.js";
import { History, entryOf } from "./history.js";
import { Servers } from "./servers.js";
import { Snapshot } from "./snapshots.js";
import { Stats } from "./stats.js";
import { Stream } from "./stream.js";
import { Tools } from "./tools.js";
import { counted, moment } from "./words.js";

const HEALTH_EVERY_MS = 10000;
const TICK_MS = 1000;
const PAST_EVENTS = 200;
const CLOCKS_AGREE_MS = 5000;
const SHORT_IDENTITY = 12;

const history = new History();
const stats = new Stats();
const events = new Events(history);
const servers = new Servers(stats, sidecarNow, (name) => events.showServer(name));
const tools = new Tools(stats, (namespace) => servers.state(namespace));

let aheadMs = 0; // the sidecar's clock, by this one

function sidecarNow() {
  return Date.now() + aheadMs;
}

const health = new Snapshot("health", 1000, (document_, { sentAt }) => {
  const ahead = sentAt - Date.now();
  aheadMs = Math.abs(ahead) > CLOCKS_AGREE_MS ? ahead : 0;
  servers.take(document_);
  events.offerServers(servers.names);
  tools.refresh();
});
const catalog = new Snapshot("tools", 1000, (document_, { ok }) => ok && tools.take(document_));
const readiness = new Snapshot("readyz", 1000, (document_, { status }) => {
  byId("draining").hidden = status !== 503;
  if (status === 200) showRegistry(document_);
});

/** All of it may have changed. */
function askAll() {
  health.ask();
  catalog.ask();
  readiness.ask();
  past.ask();
}

// --- the registry ---

function showRegistry({ generation, identity, problem, quarantined }) {
  write(byId("generation"), String(generation));
  byId("identity-fact").hidden = !identity;
  write(byId("identity"), String(identity ?? "").slice(0, SHORT_IDENTITY));
  byId("identity").title = identity ?? "";
  byId("rejected").hidden = !problem;
  write(byId("rejected-why"), problem);
  byId("quarantine").hidden = !quarantined.length;
  write(byId("quarantine-count"), `${counted(quarantined.length, "server")} quarantined`);
  byId("quarantined").replaceChildren(...quarantined.map(quarantinedServer));
}

function quarantinedServer({ server, problems }) {
  const item = document.createElement("li");
  const name = document.createElement("strong");
  write(name, server);
  item.append(name, ` ${problems.join("; ")}`);
  return item;
}

// --- events ---

const REACTIONS = {
  tool_invoked: () => {},
  server_health: (event) => { servers.healthChanged(event); health.ask(); },
  circuit_state: (event) => { servers.circuitChanged(event); health.ask(); },
  server_registered: () => { health.ask(); catalog.ask(); },
  server_unregistered: () => { health.ask(); catalog.ask(); },
  server_changed: () => { health.ask(); catalog.ask(); },
  registry_reloaded: askRegistry,
  registry_rejected: askRegistry,
  gateway_started: askAll,
  gateway_draining: () => { byId("draining").hidden = false; },
  gap: ({ reason }) => {
    if (reason === "expired") stats.seenSince = sidecarNow(); // before, figures would be too low
    askAll();
  },
};

function askRegistry() {
  readiness.ask();
  health.ask();
  catalog.ask();
}

/** Remember it and count it; false if it is known. */
function take(entry) {
  if (!history.add(entry)) return false;
  if (entry.type === "tool_invoked") stats.add(entry);
  return true;
}

let gaps = 0;

function heard(name, event) {
  // A gap bears the id of the last event that is missing.
  const entry = entryOf(event, name === "gap" ? `gap ${(gaps += 1)}` : event.event_id);
  if (!take(entry)) return;
  events.add(entry);
  REACTIONS[name]?.(event);
}

let pastSeen = false;

/** The recent past: what came before the page did, and of what kinds it was. */
const past = new Snapshot(`events?format=json&limit=${PAST_EVENTS}`, 2000, (document_, { ok }) => {
  if (!ok) return;
  const fresh = document_.events.map((event) => entryOf(event)).filter(take);
  for (const { type } of fresh) stream.learn(type);
  events.offerTypes([...new Set([...stream.names, ...history.types])].sort());
  if (!fresh.length) return;
  // Fewer than asked for: nothing went before them.
  const first = fresh.length < PAST_EVENTS ? 0 : Math.min(...fresh.map((entry) => entry.at));
  if (!pastSeen) stats.seenSince = Math.min(stats.seenSince, first);
  pastSeen = true;
  events.merge(fresh);
});

// --- the stream's state ---

const WORDS = { live: "Live", reconnecting: "Reconnecting", resting: "Resting" };
let lost = false;

const stream = new Stream("events", heard, (state) => {
  byId("connection").dataset.tone = state === "live" ? "good" : "warn";
  write(byId("connection-word"), WORDS[state]);
  if (state === "live" && lost) askAll();
  lost = state !== "live";
});

function followVisibility() {
  if (document.hidden) stream.rest();
  else stream.open();
}

byId("host").textContent = location.host;
document.title = `${location.host} · toolproxy`;
for (const form of document.forms) {
  form.addEventListener("submit", (submission) => submission.preventDefault());
}
events.offerTypes(stream.names.sort());
askAll();
document.addEventListener("visibilitychange", followVisibility);
followVisibility();
setInterval(() => {
  if (document.hidden) return;
  servers.paint();
  tools.refresh();
}, TICK_MS);
setInterval(() => {
  if (document.hidden || lost) return;
  health.ask();
  readiness.ask();
  past.ask();
}, HEALTH_EVERY_MS);
