// What a device check measures of the machine's line. A whole room may measure at the same moment: probes begin small and
// grow only while the line takes them easily, so that a slow one is asked for some kilobytes and nobody for more than one
// megabyte. Nothing here rejects: what could not be measured is null.

const TRIPS = 9;
const SIZES_BYTES = [8, 32, 128, 512].map((kib) => kib * 1024);
const ENOUGH_MS = 1_000; // a probe that took so long is as exact as anybody needs
const DOWN_MS_MAX = 5_000; // what has come by then counts
const UP_MS_MAX = 14_000; // browsers do not tell how much has gone: a probe has to end
const TRIP_MS_MAX = 5_000;
const TRIPS_MS_MAX = 8_000; // all of them together
const CHANNEL_MS_MAX = 6_000;

/** How the engine is asked: by a candidate's token, by a proctor's key under the batch's address, or, without either, not for bytes. */
export function openLine({ path, token }) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const common = { cache: 'no-store', credentials: 'omit', headers };
  const get = (address, ms) => fetch(address, { ...common, signal: AbortSignal.timeout(ms) });
  const post = (body, ms) => fetch(path, { ...common, method: 'POST', body, signal: AbortSignal.timeout(ms) });

  /** Median round trip, and this machine's clock less the server's in the same calls. */
  async function timeTrips() {
    const trips = [];
    const apart = [];
    const began = performance.now();
    for (let trip = 0; trip < TRIPS && performance.now() - began < TRIPS_MS_MAX; trip += 1) {
      const [sent, sent_ms] = [performance.now(), Date.now()];
      try {
        const response = path ? await post('', TRIP_MS_MAX) : await get('/healthz', TRIP_MS_MAX);
        const reply = await response.json();
        const took_ms = performance.now() - sent;
        if (!response.ok) continue;
        if (trip > 0) trips.push(took_ms); // the first one opens the connection
        if (reply.server_ms) apart.push(sent_ms + took_ms / 2 - reply.server_ms);
      } catch {
        // lost or too late: the others tell
      }
    }
    return { round_trip_ms: rounded(median(trips)), clock_ms: rounded(median(apart)) };
  }

  async function timeDown(round_trip_ms) {
    if (!path) return { down_kbit_s: null };
    const rate = await growing((size) => downOnce(size, round_trip_ms ?? 0));
    return { down_kbit_s: rate };
  }

  async function downOnce(size, round_trip_ms) {
    const began = performance.now();
    let come = 0;
    try {
      const response = await get(`${path}?bytes=${size}`, DOWN_MS_MAX);
      if (!response.ok) return null;
      const reader = response.body.getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) come += part.value.length;
    } catch {
      if (come === 0) return null; // cut off in the middle: what has come tells the rate all the same
    }
    return probed(come, performance.now() - began, round_trip_ms);
  }

  async function timeUp(round_trip_ms) {
    if (!path) return { up_kbit_s: null };
    const rate = await growing((size) => upOnce(size, round_trip_ms ?? 0));
    return { up_kbit_s: rate };
  }

  async function upOnce(size, round_trip_ms) {
    const body = noise(size);
    const began = performance.now();
    try {
      const response = await post(body, UP_MS_MAX);
      const { bytes } = await response.json();
      return response.ok ? probed(bytes, performance.now() - began, round_trip_ms) : null;
    } catch {
      return null;
    }
  }

  return { timeTrips, timeDown, timeUp };
}

/** Ever larger probes until one says enough; the last that came through counts. */
async function growing(probe) {
  let last = null;
  for (const size of SIZES_BYTES) {
    const found = await probe(size);
    if (!found) break;
    last = found;
    if (found.took_ms >= ENOUGH_MS) break;
  }
  return last && last.kbit_s;
}

/** Pure. What the bytes themselves took: a round trip passes before the first of them. */
export function probed(bytes, took_ms, round_trip_ms) {
  const moving_ms = Math.max(took_ms - round_trip_ms, took_ms / 2, 1);
  return { took_ms, kbit_s: Math.round((bytes * 8) / moving_ms) };
}

/** Pure. The middle one, or null. */
export function median(values) {
  return values.length ? [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)] : null;
}

const rounded = (value) => value === null ? null : Math.round(value);

function noise(size) {
  const bytes = new Uint8Array(size);
  const step = 65_536; // the most that is given at once
  for (let at = 0; at < size; at += step) crypto.getRandomValues(bytes.subarray(at, Math.min(size, at + step)));
  return bytes;
}

/** Whether a WebSocket gets through, and with a candidate's `token` whether the engine answers over it. */
export function tryChannel(token) {
  return new Promise((resolve) => {
    const socket = new WebSocket(new URL('/v1/channel', location.href.replace(/^http/, 'ws')));
    const done = (channel_opens) => {
      clearTimeout(timer);
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
      resolve({ channel_opens });
    };
    const timer = setTimeout(done, CHANNEL_MS_MAX, false);
    socket.onopen = () => (token ? socket.send(JSON.stringify({ type: 'hello', token })) : done(true));
    socket.onmessage = () => done(true);
    socket.onclose = () => done(false);
  });
}
