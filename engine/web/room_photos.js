// A room's photos: who waits at the camera, what has to be looked at, what was said of it. Pictures are fetched when they
// come into sight and kept only as long as the room is open.

import { Problem } from './api.js';
import { html, signal, useEffect, useRef, useSignal } from './html.js';
import { explain, t, timeOfDay } from './room_words.js';

const LOOK_MS = 5_000;
const ROOM_MAX = 200; // as many seats as the page shows
const PROCTOR = 'liankao.proctor.name'; // as in room_seat.js
const AT_THE_STEP = ['pledged', 'in_progress'];
const REASONS = { refuse: ['1', '2', '3'], waive: ['1', '2'] };

/** As room_sections.js describes it; null where the batch asks for no photo. */
export function photoSection(room) {
  const { batch } = room.place;
  if (batch.photo !== 'required') return null;
  const photos = signal([]);
  const pictures = new Map(); // digest -> promise of an address
  const path = `/v1/batches/${batch.batch_id}/photos?${room.query}&limit=${ROOM_MAX}`;

  async function look() {
    ({ photos: photos.value } = await room.call('GET', path));
  }

  const desk = {
    photos,

    /** The address of a sitting's newest picture. */
    pictureOf({ sitting_id, photo: { number, digest } }) {
      if (!pictures.has(digest)) {
        const asked = room.call('GET', `/v1/sittings/${sitting_id}/photo?number=${number}`, { binary: true });
        pictures.set(digest, asked.then((bytes) => URL.createObjectURL(new Blob([bytes], { type: 'image/jpeg' }))));
        asked.catch(() => pictures.delete(digest));
      }
      return pictures.get(digest);
    },

    async act(one, what, body) {
      const digest = one.photo && { digest: one.photo.digest };
      const json = what === 'waive' ? body : { ...body, ...digest, accepted: what === 'accept' };
      await room.call('POST', `/v1/sittings/${one.sitting_id}/photo/${what === 'waive' ? 'waive' : 'check'}`, { json });
      await look();
    },
  };

  room.every(look, LOOK_MS);
  const of = ({ sitting_id }) => photos.value.find((one) => one.sitting_id === sitting_id);

  return {
    name: 'photos.tab',
    View: () => html`<${Photos} desk=${desk} />`,
    waiting: () => photos.value.filter((one) => waits(one) || one.state === 'taken').length,
    SeatPart: ({ seat }) => of(seat) && html`<div class="act photo-part"><h3>${t('photos.one')}</h3><${Card} desk=${desk} one=${of(seat)} is_part /></div>`,
    mark: (seat) => of(seat) && waits(of(seat)) && t('photos.mark'),
    stop() {
      for (const address of pictures.values()) address.then((url) => URL.revokeObjectURL(url), () => {});
    },
  };
}

/** At the camera, and not past it. */
const waits = ({ state, sitting_state }) => state === 'due' && AT_THE_STEP.includes(sitting_state);

function Photos({ desk }) {
  const seats = [...desk.photos.value].sort((one, other) => (one.seat < other.seat ? -1 : 1));
  const groups = [
    ['waiting', seats.filter(waits)],
    ['taken', seats.filter(({ state }) => state === 'taken')],
    ['owed', seats.filter(({ state }) => state === 'owed')],
    ['done', seats.filter(({ act }) => act)],
  ];
  const shown = groups.filter(([, some]) => some.length > 0);
  return html`<main class="photos">
    ${shown.length === 0 && html`<p class="hint">${t('photos.none')}</p>`}
    ${shown.map(([name, some]) => html`<section key=${name} data-group=${name}>
      <h2>${t(`photos.${name}`, { n: some.length })}</h2>${name !== 'done' && html`<p class="hint">${t(`photos.${name}_hint`)}</p>`}
      <ul class="photo-cards">${some.map((one) => html`<li key=${one.sitting_id}><${Card} desk=${desk} one=${one} /></li>`)}</ul>
    </section>`)}
  </main>`;
}

function Card({ desk, one, is_part = false }) {
  const asking = useSignal(null); // accept, refuse, waive
  const { state, photo, act } = one;

  /** Whoever is known accepts with one click; all else asks why, or what went wrong. */
  async function begin(what) {
    const proctor = sessionStorage.getItem(PROCTOR);
    if (what !== 'accept' || !proctor) return (asking.value = what);
    return desk.act(one, what, { proctor }).then(goOn, () => (asking.value = what));
  }

  const button = (what, kind = '') => html`<button type="button" class=${kind} data-act=${what} onclick=${() => begin(what)}>${t(`photos.${what}`)}</button>`;
  const may_waive = !photo || state === 'refused';
  return html`<article class="photo-card" data-photo=${one.seat} data-state=${state}>
    ${photo ? html`<${Picture} key=${photo.digest} desk=${desk} one=${one} />` : html`<p class="no-picture">${t(`photos.state_${state}`)}</p>`}
    <div class="photo-who">
      ${!is_part && html`<p><strong>${one.seat} ${one.name}</strong></p><p class="hint">${one.admission_ticket}</p>`}
      ${photo && html`<p class="hint">${t(photo.number > 1 ? 'photos.at_again' : 'photos.at', { time: timeOfDay(photo.taken_ms), n: photo.number })}</p>`}
      ${act && html`<p class="photo-said" data-said=${state}>${t(`photos.state_${state}`)}<span class="event-by">${act.reason ? t('event.by', act) : act.proctor}</span></p>`}
      ${asking.value ? html`<${Ask} desk=${desk} one=${one} what=${asking.value} onDone=${() => (asking.value = null)} />`
        : html`<div class="actions">${photo && state !== 'accepted' && button('accept', 'main')}${photo && state !== 'refused' && button('refuse')}
          ${may_waive && state !== 'waived' && state !== 'owed' && button('waive')}</div>`}
    </div>
  </article>`;
}

// To the next photo that waits: the one just looked at has moved on.
const goOn = () => requestAnimationFrame(() => document.querySelector('[data-group=taken] [data-act=accept]')?.focus());

// Fetched once it is in sight: a room on a thin line has thirty of them.
function Picture({ desk, one }) {
  const frame = useRef(null);
  const address = useSignal(null);
  useEffect(() => {
    const seen = new IntersectionObserver(([{ isIntersecting }]) => {
      if (!isIntersecting) return;
      seen.disconnect();
      desk.pictureOf(one).then((url) => (address.value = url), () => {});
    });
    seen.observe(frame.current);
    return () => seen.disconnect();
  }, []);
  return html`<div class="picture" ref=${frame}>${address.value && html`<img src=${address.value} alt=${t('photos.alt', one)} />`}</div>`;
}

function Ask({ desk, one, what, onDone }) {
  const is_busy = useSignal(false);
  const fault = useSignal(null);
  const typed = useRef({ proctor: sessionStorage.getItem(PROCTOR) ?? '', reason: '' }).current;
  const form = useRef(null);
  useEffect(() => form.current.querySelector(typed.proctor && what !== 'accept' ? '[name=reason]' : '[name=proctor]').focus(), []);

  async function confirm(event) {
    event.preventDefault();
    if (is_busy.value) return;
    const [proctor, reason] = [typed.proctor.trim(), typed.reason.trim()];
    const missing = !proctor ? 'proctor' : what !== 'accept' && !reason ? 'reason' : null;
    if (missing) {
      fault.value = () => t(`photos.missing_${missing}`);
      form.current.querySelector(`[name=${missing}]`).focus();
      return;
    }
    is_busy.value = true;
    fault.value = null;
    try {
      sessionStorage.setItem(PROCTOR, proctor);
      await desk.act(one, what, { proctor, ...(reason && { reason }) });
      onDone();
      goOn();
    } catch (problem) {
      fault.value = () => explain(problem instanceof Problem ? problem : {});
    } finally {
      is_busy.value = false;
    }
  }

  const field = (name, attributes) => html`<label class="photo-field"><span>${t(`takeover.${name}`)}</span>
    <input name=${name} defaultValue=${typed[name]} autocomplete="off" spellcheck="false" oninput=${(event) => (typed[name] = event.target.value)} ...${attributes} /></label>`;
  const list = `reasons-${what}-${one.seat}`;
  return html`<form novalidate ref=${form} onsubmit=${confirm}>
    ${field('proctor', { maxlength: 100 })}
    ${what !== 'accept' && html`${field('reason', { maxlength: 500, list })}
      <datalist id=${list}>${REASONS[what].map((name) => html`<option value=${t(`photos.${what}_${name}`)}></option>`)}</datalist>`}
    ${fault.value && html`<p class="alert" role="alert">${fault.value()}</p>`}
    <div class="actions"><button class="main" type="submit" data-confirm=${what}>${t(is_busy.value ? 'takeover.busy' : `photos.${what}_now`)}</button>
      <button type="button" onclick=${onDone}>${t('takeover.cancel')}</button></div>
  </form>`;
}
