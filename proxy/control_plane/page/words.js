// Numbers, moments and states as people read them.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const ONE = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const TWO = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const CLOCK = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3,
});
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

export const NONE = "–";

export const count = (value) => WHOLE.format(value);

export const counted = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

export function rate(perSecond) {
  if (!perSecond || perSecond >= 100) return WHOLE.format(perSecond);
  return (perSecond >= 10 ? ONE : TWO).format(perSecond);
}

export function share(value) {
  if (value === null) return NONE;
  const percent = value * 100;
  return `${(percent >= 10 ? WHOLE : ONE).format(percent)}\u00a0%`;
}

export function duration(ms) {
  if (ms === null || ms === undefined) return NONE;
  if (ms >= 1000) return `${ONE.format(ms / 1000)}\u00a0s`;
  return `${(ms >= 10 ? WHOLE : ONE).format(ms)}\u00a0ms`;
}

export function latency(p50, p95) {
  if (p50 === null) return NONE;
  const [low, high] = [duration(p50), duration(p95)];
  const unit = high.slice(high.indexOf("\u00a0"));
  return `${low.endsWith(unit) ? low.slice(0, -unit.length) : low} / ${high}`;
}

export const clock = (ms) => CLOCK.format(ms);

/** The time of day, and the date when it was another day. */
export function moment(iso) {
  const then = new Date(iso);
  const time = clock(then).slice(0, 8);
  const today = then.toDateString() === new Date().toDateString();
  return today ? time : `${DAY.format(then)} ${time}`;
}

// A tone is colour and shape together: good, idle, warn, bad, gone.
const TONES = {
  healthy: "good", success: "good", closed: "good", live: "good", available: "good",
  unknown: "idle", pending: "idle", cancelled: "idle",
  half_open: "warn", unhealthy: "warn", gap: "warn",
  failure: "bad", error: "bad", open: "bad",
  unreachable: "gone",
};

export const tone = (state) => TONES[state] ?? "idle";

export const spoken = (state) => state.replaceAll("_", "-");
