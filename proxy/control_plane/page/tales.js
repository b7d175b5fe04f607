// What an event is about and what it says, in one line.

import { counted, spoken } from "./words.js";

export function subjectOf({ type, server, tool, event }) {
  if (tool && server && !tool.startsWith(`${server}.`)) return `${server}.${tool}`;
  if (tool || server) return tool || server;
  if (type.startsWith("registry_")) return "registry";
  return type === "gap" ? "gap" : String(event.source ?? type);
}

/** Empty where type and subject say it all. */
export function taleOf(entry) {
  const tell = TALES[entry.type] ?? message;
  return tell(entry.event) || message(entry.event);
}

const REASONS = { slow: "this page was too slow", expired: "they were too long ago" };

const TALES = {
  tool_invoked: (event) =>
    event.error_code
      ? joined(event.error_code, event.error_message)
      : phrases(event.http_status, event.endpoint, event.attempts > 1 && `${event.attempts} tries`),
  server_health: (event) =>
    phrases(change(event.previous, event.status), event.endpoint, event.reason),
  circuit_state: (event) =>
    phrases(
      change(event.previous, event.state),
      event.retry_after_s && `next try in ${Math.ceil(event.retry_after_s)} s`,
    ),
  server_changed: (event) => written(event.changes),
  registry_reloaded: (event) =>
    phrases(`generation ${event.generation}`, event.change_class, written(event.counts)),
  registry_rejected: (event) => written(event.problems),
  authorization_denied: (event) => phrases(event.subject, event.reason),
  gap: ({ reason, count }) =>
    reason === "epoch"
      ? "the sidecar has started anew"
      : `${count ? counted(count, "event") : "some events"} missed: ${REASONS[reason] ?? reason}`,
};

const message = (event) => joined(event.error_code, event.error_message ?? event.message);

const change = (before, after) =>
  before ? `${spoken(String(before))} → ${spoken(String(after))}` : after;

const joined = (...words) => words.filter(Boolean).join(": ");

const phrases = (...words) => words.filter(Boolean).join(" · ");

/** A list or a mapping in one line. */
function written(value) {
  if (Array.isArray(value)) return value.map(written).join("; ");
  if (typeof value !== "object" || value === null) return String(value ?? "");
  return Object.entries(value)
    .filter(([, each]) => each !== 0)
    .map(([key, each]) => `${key} ${written(each)}`)
    .join(", ");
}
