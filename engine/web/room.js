// The room's page: a proctor's key, a batch and a room, then the room itself. Nothing but the key is kept, and that only as
// long as the tab: a machine in the corridor must know nothing of it tomorrow.

import { call } from './api.js';
import * as clock from './clock.js';
import { effect, html, render, signal, useRef, useSignal } from './html.js';
import { PlacesView } from './room_places.js';
import { SeatsView } from './room_seats.js';
import { openRoom } from './room_state.js';
import { explain, switchLanguage, t, timeOfDay } from './room_words.js';

const KEY = 'liankao.proctor';

const key = signal(sessionStorage.getItem(KEY));
const fault = signal(null); // why the key is asked for again
const room = signal(null);
const tab = signal('seats');
const now = signal(clock.now());
clock.everyTick(() => (now.value = clock.now()));

function lock(problem = null) {
  room.value?.leave();
  room.value = null;
  key.value = null;
  fault.value = problem;
  sessionStorage.removeItem(KEY);
}

async function unlock(typed) {
  await call('GET', '/v1/invigilation', { token: typed });
  sessionStorage.setItem(KEY, typed);
  fault.value = null;
  key.value = typed;
}

function enter(place) {
  tab.value = 'seats';
  room.value = openRoom(key.value, place, lock);
}

function leave() {
  room.value.leave();
  room.value = null;
}

function Page() {
  return html`<${Head} />
    ${!key.value ? html`<${KeyView} />` : !room.value ? html`<${PlacesView} api_key=${key.value} onEnter=${enter} onRefused=${lock} />` : html`<${RoomView} />`}`;
}

function Head() {
  const opened = room.value;
  const { batch, site, room: name } = opened?.place ?? {};
  return html`<header class="head">
    <span class="brand">${t('brand')}</span>
    <div class="head-title">${opened && html`<strong>${site} ${name || t('places.unnamed')}</strong>
      <span>${batch.title}</span>`}</div>
    ${opened && html`<${Tabs} room=${opened} />`}
    ${opened && html`<div class="head-clock"><strong>${timeOfDay(now.value)}</strong><span>${countdown(batch)}</span></div>`}
    <div class="switches">
      ${opened && html`<button type="button" class="quiet" id="leave" onclick=${leave}>${t('head.leave')}</button>`}
      <button type="button" class="quiet" id="language" lang=${t('switch.language_lang')} onclick=${switchLanguage}>${t('switch.language')}</button>
      ${key.value && html`<button type="button" class="quiet" id="lock" onclick=${() => lock()}>${t('head.lock')}</button>`}
    </div>
  </header>`;
}

function countdown({ starts_ms, ends_ms }) {
  if (now.value < starts_ms) return t('head.starts_in', { time: clock.countdown(starts_ms - now.value) });
  return now.value < ends_ms ? t('head.left', { time: clock.countdown(ends_ms - now.value) }) : t('head.over');
}

function KeyView() {
  const typed = useRef({ text: '' }).current;
  const busy = useSignal(false);

  async function submit(event) {
    event.preventDefault();
    if (busy.value) return;
    if (!typed.text.trim()) {
      fault.value = { code: null, missing: true };
      return;
    }
    busy.value = true;
    try {
      await unlock(typed.text.trim());
    } catch (problem) {
      fault.value = problem;
    } finally {
      busy.value = false;
    }
  }

  const said = () => (fault.value.missing ? t('key.missing') : explain(fault.value));
  return html`<main class="sheet">
    <h1 tabindex="-1">${t('key.title')}</h1>
    <p class="lead">${t('key.lead')}</p>
    <form novalidate onsubmit=${submit}>
      <div class="field"><label for="key">${t('key.label')}</label>
        <input id="key" type="password" autocomplete="off" spellcheck="false" maxlength="200" oninput=${(event) => (typed.text = event.target.value)} /></div>
      ${fault.value && html`<p class="alert" role="alert">${said()}</p>`}
      <div class="actions"><button class="main" type="submit">${t('key.enter')}</button></div>
    </form>
  </main>`;
}

function Tabs({ room: { sections } }) {
  if (!sections.length) return null;
  const button = (name, text, waiting = 0) => html`<button type="button" role="tab" class="quiet" id=${`tab-${name.replace('.', '-')}`} aria-selected=${tab.value === name} onclick=${() => (tab.value = name)}>
    ${text}${waiting > 0 && html`<span class="waiting">${waiting}</span>`}</button>`;
  return html`<div class="tabs" role="tablist" aria-label=${t('tabs.label')}>
    ${button('seats', t('tab.seats'))}${sections.map(({ name, waiting }) => button(name, t(name), waiting?.()))}</div>`;
}

function RoomView() {
  const shown = room.value.sections.find(({ name }) => name === tab.value);
  return shown ? html`<${shown.View} />` : html`<${SeatsView} room=${room.value} now_ms=${now.value} />`;
}

const page = document.getElementById('page');
page.replaceChildren();
render(html`<${Page} />`, page);
effect(() => {
  const place = room.value?.place;
  document.title = place ? `${place.room || place.site} · ${t('brand')}` : t('brand');
  if (!key.value) requestAnimationFrame(() => document.getElementById('key')?.focus());
});
