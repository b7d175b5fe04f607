// The last events, each once, in the order in which they happened.

const KEPT = 5000;

/** An event with what filters and figures ask for. */
export function entryOf(event, id = event.event_id) {
  return {
    id: String(id ?? `${event.timestamp} ${event.event_type} ${event.trace_id}`),
    at: Date.parse(event.timestamp) || Date.now(),
    type: String(event.event_type),
    server: text(event.server_name),
    tool: text(event.tool_name),
    trace: text(event.trace_id),
    status: text(event.status),
    failed: event.status === "failure" || event.status === "error",
    ms: typeof event.duration_ms === "number" ? event.duration_ms : null,
    event,
  };
}

const text = (value) => (value === null || value === undefined ? "" : String(value));

export class History {
  #entries = [];
  #ids = new Set();
  types = new Set();

  /** Take it in; false if it is known. */
  add(entry) {
    if (this.#ids.has(entry.id)) return false;
    this.#ids.add(entry.id);
    this.types.add(entry.type);
    this.#entries.splice(this.#placeOf(entry), 0, entry);
    if (this.#entries.length > KEPT * 1.2) {
      const dropped = this.#entries.splice(0, this.#entries.length - KEPT);
      for (const each of dropped) this.#ids.delete(each.id);
    }
    return true;
  }

  /** The newest that match, newest first. */
  newest(matches, most) {
    const found = [];
    for (let at = this.#entries.length - 1; at >= 0 && found.length < most; at -= 1) {
      if (matches(this.#entries[at])) found.push(this.#entries[at]);
    }
    return found;
  }

  #placeOf(entry) {
    let place = this.#entries.length;
    while (place > 0 && this.#entries[place - 1].at > entry.at) place -= 1;
    return place;
  }
}
