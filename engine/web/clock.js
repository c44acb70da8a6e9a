// The server's time on this machine: `server_ms` plus the monotonic clock, so that setting the system clock changes
// nothing. A sample taken over a slow round trip is uncertain by half of it; the best recent sample is believed.

const SAMPLE_AGE_MAX_MS = 60_000; // quartz drifts: after a minute a worse sample is still the better one
const SUSPEND_MS = 2_000; // the two clocks moving apart by more than this means the machine slept

let offset_ms = null;
let uncertainty_ms = Infinity;
let sampled_at_ms = -Infinity;
let apart_ms = Date.now() - performance.now();

/** Takes one reading of the server's clock; `sent` and `received` are performance.now() around the call. */
export function sync(server_ms, sent, received) {
  const sample_ms = server_ms - (sent + received) / 2;
  const sample_uncertainty_ms = (received - sent) / 2;
  const agrees = offset_ms !== null && Math.abs(sample_ms - offset_ms) <= sample_uncertainty_ms + uncertainty_ms;
  const fresh = received - sampled_at_ms < SAMPLE_AGE_MAX_MS;
  if (agrees && fresh && sample_uncertainty_ms > uncertainty_ms) return;
  offset_ms = sample_ms;
  uncertainty_ms = sample_uncertainty_ms;
  sampled_at_ms = received;
}

/** What the server's time must be about, as long as the server does not tell it; its first reading replaces this. */
export function assume(server_ms) {
  if (offset_ms === null) offset_ms = server_ms - performance.now();
}

/** The server's time now, in Unix milliseconds. */
export function now() {
  return offset_ms === null ? Date.now() : performance.now() + offset_ms;
}

/** True once after the machine slept or its system clock was set: the server should be asked for the time again. */
export function wasInterrupted() {
  const apart_now_ms = Date.now() - performance.now();
  const interrupted = Math.abs(apart_now_ms - apart_ms) > SUSPEND_MS;
  apart_ms = apart_now_ms;
  return interrupted;
}

/** Calls `tick` about four times a second, and at once when the page is looked at again; returns the stop. */
export function everyTick(tick) {
  const timer = setInterval(tick, 250);
  document.addEventListener('visibilitychange', tick);
  return () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', tick);
  };
}

/** Waits for the server's time to reach `until_ms`, or for `signal`. Never rejects. */
export function sleepUntil(until_ms, signal) {
  return new Promise((resolve) => {
    const stop = everyTick(() => {
      if (now() < until_ms && !signal.aborted) return;
      stop();
      resolve();
    });
  });
}

/** `1:05:09` or `05:09`; what is left counts as a full second until it is gone. */
export function countdown(left_ms) {
  const left_s = Math.max(0, Math.ceil(left_ms / 1000));
  const [hours, minutes, seconds] = [Math.floor(left_s / 3600), Math.floor(left_s / 60) % 60, left_s % 60];
  const two = (number) => String(number).padStart(2, '0');
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${two(minutes)}:${two(seconds)}`;
}

const formats = new Map(); // making one takes a slow machine longer than drawing an answer

/** An instant as the exam's wall clock shows it; exams run on China's time wherever the machine thinks it is. */
export function wallClock(ms, withDate = false) {
  const withSeconds = ms % 60_000 >= 1000;
  const name = `${withDate} ${withSeconds}`;
  if (!formats.has(name)) {
    const date = withDate ? { year: 'numeric', month: '2-digit', day: '2-digit' } : {};
    const seconds = withSeconds ? { second: '2-digit' } : {};
    const time = { hour: '2-digit', minute: '2-digit', ...seconds, hourCycle: 'h23', timeZone: 'Asia/Shanghai' };
    formats.set(name, new Intl.DateTimeFormat('zh-CN', { ...date, ...time }));
  }
  return formats.get(name).format(ms);
}
