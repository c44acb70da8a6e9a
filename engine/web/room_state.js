// One opened room: its seats and what happened there, asked for again and again while it is looked at.

import { call } from './api.js';
import * as clock from './clock.js';
import { signal } from './html.js';
import { sections } from './room_sections.js';

const SEATS_MS = 5_000;
const HIDDEN_MS = 30_000; // nobody looks: a room on a machine that was left must not cost what a watched one does
const AGAIN_MS = 1_500; // after opening: machines asked for a sign of life by the first look have given it by then
const EVENTS_MS = 5_000;
const EVENTS_AT_ONCE = 500;
const EVENTS_KEPT = 2_000;
const ASKED_MS = 600_000; // who still wants to move by then has tried again
const SILENT_MS = 45_000; // an open channel shows itself within a quarter of a minute of being asked for

/** `place` is {batch, site, room}; `onRefused(problem)` hears of a key that no longer counts. */
export function openRoom(key, place, onRefused) {
  const leaving = new AbortController();
  const view = signal(null);
  const events = signal([]);
  const trouble = signal(null); // since when the engine has not answered
  const query = new URLSearchParams({ site: place.site, room: place.room }).toString();
  const path = `/v1/batches/${place.batch.batch_id}`;
  let after = '0';

  const room = {
    key, place, query, view, events, trouble,
    signal: leaving.signal,

    async call(method, where, options = {}) {
      try {
        return await call(method, where, { token: key, ...options });
      } catch (problem) {
        if (problem.status === 401 || problem.status === 403) onRefused(problem);
        throw problem;
      }
    },

    every(work, every_ms) {
      let timer = null;
      const run = async () => {
        await work().catch(() => {}); // what fails is tried again; `call` has dealt with a lost key
        if (!leaving.signal.aborted) timer = setTimeout(run, document.hidden ? Math.max(every_ms, HIDDEN_MS) : every_ms);
      };
      const soon = () => {
        if (document.hidden || timer === null) return;
        clearTimeout(timer);
        timer = null;
        run();
      };
      document.addEventListener('visibilitychange', soon, { signal: leaving.signal });
      leaving.signal.addEventListener('abort', () => clearTimeout(timer));
      run();
    },

    async look() {
      try {
        view.value = await room.call('GET', `${path}/seats?${query}`);
        trouble.value = null;
      } catch (fault) {
        trouble.value ??= clock.now();
        throw fault;
      }
    },

    /** Lets a candidate go on at another machine; resolves to until when. */
    async allowTakeover(seat, act) {
      const { until_ms } = await room.call('POST', `/v1/sittings/${seat.sitting_id}/takeover`, { json: act });
      await Promise.allSettled([room.look(), follow()]);
      return until_ms;
    },

    eventsOf: (seat) => events.value.filter((event) => event.sitting_id === seat.sitting_id),

    leave() {
      leaving.abort();
      for (const section of room.sections) section.stop?.();
    },
  };
  room.sections = sections.map((section) => section(room)).filter(Boolean);

  let following = null;

  /** One at a time, so that no event is taken twice. */
  function follow() {
    following ??= readOn().finally(() => (following = null));
    return following;
  }

  async function readOn() {
    for (;;) {
      const page = await room.call('GET', `${path}/events?${query}&after=${after}&limit=${EVENTS_AT_ONCE}`);
      if (page.next === after) return;
      after = page.next;
      events.value = [...events.value, ...page.events].slice(-EVENTS_KEPT);
      if (page.events.length < EVENTS_AT_ONCE) return;
    }
  }

  room.every(room.look, SEATS_MS);
  room.every(follow, EVENTS_MS);
  setTimeout(() => leaving.signal.aborted || room.look().catch(() => {}), AGAIN_MS);
  return room;
}

const IN = ['checked_in', 'confirmed', 'pledged', 'in_progress'];

/** Since when the machine of a seat has been silent, as a server's instant; 0 while it lives or is not awaited. */
export function silentSince(seat, now_ms) {
  if (!IN.includes(seat.state) || !seat.is_live || seat.seen_ms === null) return 0;
  return now_ms - seat.seen_ms > SILENT_MS ? seat.seen_ms : 0;
}

/** Whether somebody at another machine waits to be let in there, as far as one refused login tells. */
export function asksToMove(seat, now_ms) {
  return IN.includes(seat.state) && seat.asked_ms !== null && now_ms - seat.asked_ms < ASKED_MS && !(seat.takeover_until_ms > now_ms);
}

/** Whether a takeover can be meant at all. */
export const isIn = (seat) => IN.includes(seat.state);
