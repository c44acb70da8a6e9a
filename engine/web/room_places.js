// Which batch, which room.

import { call } from './api.js';
import { wallClock } from './clock.js';
import { html, useEffect, useSignal } from './html.js';
import { explain, t } from './room_words.js';

const MANY = 8; // rooms: then a field to find one by name helps

/** `onEnter({batch, site, room})` opens a room. */
export function PlacesView({ api_key, onEnter, onRefused }) {
  const batches = useSignal(null);
  const chosen = useSignal(null); // {batch, rooms}
  const wanted = useSignal('');
  const fault = useSignal(null);

  async function read(path) {
    fault.value = null;
    try {
      return await call('GET', path, { token: api_key });
    } catch (problem) {
      if (problem.status === 401 || problem.status === 403) onRefused(problem);
      else fault.value = problem;
      return null;
    }
  }

  async function readBatches() {
    const found = await read('/v1/invigilation');
    if (!found) return;
    batches.value = found.batches;
    if (found.batches.length === 1) await choose(found.batches[0]);
  }

  async function choose(batch) {
    chosen.value = { batch, rooms: null };
    const found = await read(`/v1/batches/${batch.batch_id}/rooms`);
    if (found && chosen.value?.batch === batch) chosen.value = { batch, rooms: found.rooms };
  }

  useEffect(() => {
    readBatches();
  }, []);

  const isChosen = (batch) => chosen.value?.batch.batch_id === batch.batch_id;
  const batchRow = (batch) => html`<li><button type="button" class="row" aria-pressed=${isChosen(batch)} data-batch=${batch.batch_id} onclick=${() => choose(batch)}>
    <span class="row-time">${wallClock(batch.starts_ms, true)} – ${wallClock(batch.ends_ms)}</span>
    <strong>${batch.title}</strong>
    <span class="row-note">${batch.kind !== 'formal' && html`<span class="kind-mark">${t(`kind.${batch.kind}`)}</span>`}${t(`subject.${batch.subject}`)} · ${t('places.rooms_count', batch)} · ${t(`rule.${batch.takeover}`)}</span>
  </button></li>`;

  return html`<main class="places">
    <h1 tabindex="-1">${t('places.title')}</h1>
    ${fault.value && html`<p class="alert" role="alert">${explain(fault.value)} <button type="button" class="quiet" onclick=${readBatches}>${t('places.again')}</button></p>`}
    <div class="places-columns">
      <section><h2>${t('places.batches')}</h2>
        ${batches.value?.length === 0 && html`<p class="hint">${t('places.none')} <button type="button" class="quiet" onclick=${readBatches}>${t('places.again')}</button></p>`}
        <ul>${batches.value?.map(batchRow)}</ul></section>
      <section><h2>${t('places.rooms')}</h2>
        ${!chosen.value ? html`<p class="hint">${t('places.choose')}</p>` : html`<${Rooms} chosen=${chosen.value} wanted=${wanted} onEnter=${onEnter} />`}</section>
    </div>
  </main>`;
}

function Rooms({ chosen: { batch, rooms }, wanted, onEnter }) {
  if (!rooms) return null;
  const text = wanted.value.trim();
  const found = rooms.filter(({ site, room }) => `${site} ${room}`.includes(text));
  const here = ({ counts, sittings }) => sittings - counts.expected - counts.absent - counts.void;
  const row = (place) => html`<li><button type="button" class="row" data-room=${place.room} onclick=${() => onEnter({ batch, site: place.site, room: place.room })}>
    <strong>${place.room || t('places.unnamed')}</strong>
    <span class="row-note">${t('places.sittings', { n: place.sittings })} · ${t('places.in', { n: here(place) })}</span>
  </button></li>`;
  const sites = grouped(found);
  return html`
    ${rooms.length > MANY && html`<input type="search" id="find" aria-label=${t('places.filter')} placeholder=${t('places.filter')} value=${wanted.value} oninput=${(event) => (wanted.value = event.target.value)} />`}
    ${found.length === 0 && html`<p class="hint">${t('places.no_match')}</p>`}
    <div class="sites">${[...sites].map(([site, places]) => html`<h3 class="site">${site}</h3><ul class="rooms">${places.map(row)}</ul>`)}</div>`;
}

function grouped(places) {
  const sites = new Map();
  for (const place of places) sites.set(place.site, [...(sites.get(place.site) ?? []), place]);
  return sites;
}
