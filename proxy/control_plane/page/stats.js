// What calls came to, over the last minutes: counts and latencies in slots of time.

const SLOT_MS = 3000;
const SLOTS = 60;
const RECENT_SLOTS = 20;
const LEAST_COVERED_MS = 5000;
// Latencies are kept as a histogram whose steps grow by 15 %, from 0.1 ms to ten minutes.
const GROWTH = Math.log(1.15);
const LEAST_MS = 0.1;
const STEPS = 112;

class Latencies {
  #steps = new Uint32Array(STEPS);

  add(ms) {
    const step = Math.floor(Math.log(Math.max(ms, LEAST_MS) / LEAST_MS) / GROWTH);
    this.#steps[Math.min(step, STEPS - 1)] += 1;
  }

  include(other) {
    for (let step = 0; step < STEPS; step += 1) this.#steps[step] += other.#steps[step];
  }

  /** The latency below which this share of the calls lies; null without calls. */
  quantile(q) {
    const total = this.#steps.reduce((sum, each) => sum + each, 0);
    let left = Math.ceil(total * q);
    for (let step = 0; total && step < STEPS; step += 1) {
      left -= this.#steps[step];
      if (left <= 0) return LEAST_MS * Math.exp(GROWTH * (step + 0.5));
    }
    return null;
  }
}

/** All calls since the page was opened. */
class Tally {
  calls = 0;
  failed = 0;
  latencies = new Latencies();

  add(call) {
    this.calls += 1;
    if (call.failed) this.failed += 1;
    if (call.ms !== null) this.latencies.add(call.ms);
  }
}

/** The calls of the last minutes. A slot is begun anew when its time comes again. */
class Window {
  #slots = new Array(SLOTS).fill(null);
  #numbers = new Array(SLOTS).fill(-1);

  add(call) {
    const number = Math.floor(call.at / SLOT_MS);
    const index = number % SLOTS;
    if (number < this.#numbers[index]) return; // older than all that is shown
    if (number > this.#numbers[index]) {
      this.#slots[index] = new Tally();
      this.#numbers[index] = number;
    }
    this.#slots[index].add(call);
  }

  /** Rate, error share, p50 and p95 of the last minute, or of what of it was seen. */
  recent(now, seenSince) {
    const newest = Math.floor(now / SLOT_MS);
    const sum = new Tally();
    for (let number = newest - RECENT_SLOTS + 1; number <= newest; number += 1) {
      const slot = this.#slot(number);
      if (slot === null) continue;
      sum.calls += slot.calls;
      sum.failed += slot.failed;
      sum.latencies.include(slot.latencies);
    }
    const from = Math.max((newest - RECENT_SLOTS + 1) * SLOT_MS, seenSince);
    const covered = Math.max(now - from, LEAST_COVERED_MS) / 1000;
    return {
      rate: sum.calls / covered,
      errors: sum.calls ? sum.failed / sum.calls : null,
      p50: sum.latencies.quantile(0.5),
      p95: sum.latencies.quantile(0.95),
    };
  }

  /** One point per slot, oldest first; null where nothing is known. */
  series(now, seenSince) {
    const newest = Math.floor(now / SLOT_MS);
    const points = { rate: [], errors: [], p50: [], p95: [] };
    for (let number = newest - SLOTS; number < newest; number += 1) {
      const slot = this.#slot(number);
      const seen = (number + 1) * SLOT_MS > seenSince;
      points.rate.push(seen ? (slot?.calls ?? 0) / (SLOT_MS / 1000) : null);
      points.errors.push(seen ? (slot ? slot.failed / slot.calls : 0) : null);
      points.p50.push(slot?.latencies.quantile(0.5) ?? null);
      points.p95.push(slot?.latencies.quantile(0.95) ?? null);
    }
    return points;
  }

  #slot(number) {
    const index = number % SLOTS;
    return this.#numbers[index] === number ? this.#slots[index] : null;
  }
}

// Names come from callers too: what is kept by name has an end.
const MOST_SERVERS = 2000;
const MOST_TOOLS = 20000;

/** Windows by server, tallies by tool, and one window of all. */
export class Stats {
  all = new Window();
  servers = new Map();
  tools = new Map();
  seenSince = Date.now();

  add(call) {
    this.all.add(call);
    if (!call.server) return; // a call of a name that nobody has
    kept(this.servers, call.server, MOST_SERVERS, Window)?.add(call);
    kept(this.tools, `${call.server}.${call.tool}`, MOST_TOOLS, Tally)?.add(call);
  }
}

function kept(map, name, most, Kind) {
  let found = map.get(name);
  if (found === undefined && map.size < most) {
    found = new Kind();
    map.set(name, found);
  }
  return found;
}
