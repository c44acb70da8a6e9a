// Between the pledge and the first question: the sealed paper is fetched and its digest shown, the server's time counts
// down, at the start the paper key is asked for and the paper opens by itself. Also the way back in after a reload.

import { pause, retryDelay } from './api.js';
import * as clock from './clock.js';
import { Frame } from './frame.js';
import { html, signal, useComputed } from './html.js';
import { releasedKeys } from './key.js';
import { linkUp, now } from './live.js';
import { arrange } from './order.js';
import { openPass } from './pass.js';
import { bytesOf, fetchSealed, openSealed, SealBroken, shortDigest } from './seal.js';
import { keepSealed } from './shell.js';
import { startWatch } from './watch.js';
import { t } from './words.js';

const FETCH_SPREAD_MS = 15_000; // a room's machines do not all fetch at once
const WATCH_MS = 15_000;
const ON_TIME_MS = 5_000; // who waited here for the start and opens the paper so soon after it was there from the first moment

/** `onOpen({items, media}, on_time)` is called once, when the paper is open; `on_time`: with the start. */
export function waitScreen(app, onOpen) {
  const stopping = new AbortController();
  const { signal: stopped } = stopping;
  const seal = signal('fetching');
  const key_trouble = signal(false);

  const watch = startWatch(app.token, () => WATCH_MS, { onView, onNotice, onRefused: app.refused });
  const left_ms = () => app.view.starts_ms - clock.now();

  function onView(view) {
    app.viewIs(view);
    const { state } = app.view;
    if (!['pledged', 'in_progress'].includes(state)) app.stateIs(state);
  }

  function onNotice({ code }) {
    if (code.startsWith('photo.')) photoIs(code.slice('photo.'.length));
  }

  function photoIs(photo) {
    app.viewIs({ photo });
    if (app.photoIsDue) app.stateIs(app.view.state);
  }

  async function run() {
    const [sealed, keys] = await Promise.all([sealedPaper(), keysAtStart()]);
    if (stopped.aborted || !keys) return;
    for (let failures = 0, bytes = sealed; !stopped.aborted; failures += 1) {
      try {
        const paper = await openSealed(bytes, bytesOf(keys.paper_key), app.view.batch_id);
        const items = await arrange(paper, bytesOf(keys.seed), app.view.rules);
        if (stopped.aborted) return;
        keepSealed(app.view.paper.digest, bytes); // neither of the two may hold up the first question
        openPass(app.token, app.view, keys);
        await onOpen({ items, media: paper.media }, !late && left_ms() > -ON_TIME_MS);
        return;
      } catch (fault) {
        if (app.refused(fault)) return;
        console.error(fault);
        seal.value = 'open_failed';
        await pause(retryDelay(failures + 2), stopped);
        bytes = await fetchSealed(app.view.paper.digest, true).catch(() => bytes);
      }
    }
  }

  async function sealedPaper() {
    await pause(Math.random() * Math.max(0, Math.min(FETCH_SPREAD_MS, left_ms() / 4)), stopped);
    for (let failures = 0; !stopped.aborted; failures += 1) {
      try {
        const sealed = await fetchSealed(app.view.paper.digest, failures > 0);
        seal.value = 'intact';
        return sealed;
      } catch (fault) {
        if (app.refused(fault)) return null;
        seal.value = fault instanceof SealBroken ? 'broken' : 'trouble';
        await pause(retryDelay(failures, fault), stopped);
      }
    }
    return null;
  }

  function keysAtStart() {
    const onStart = (starts_ms) => app.viewIs({ starts_ms });
    const onTrouble = ({ code }) => (code === 'photo.due' ? photoIs('due') : (key_trouble.value = true));
    return releasedKeys(app.token, { left_ms, onStart, onTrouble }, stopped).catch((fault) => {
      if (!app.refused(fault)) throw fault;
    });
  }

  const late = left_ms() <= 0; // after a reload, or a log-in after the start
  const View = () => html`<${Frame} app=${app} step=${late ? null : 'wait'} title=${t(late ? 'wait.opening_title' : 'wait.title')} wide>
    <div class="waiting">
      <${Countdown} app=${app} key_trouble=${key_trouble} />
      <div class="wait-side"><${Seal} digest=${app.view.paper.digest} seal=${seal.value} /><${Rules} view=${app.view} /></div>
    </div>
  </${Frame}>`;

  run();
  return {
    View,
    stop() {
      watch.stop();
      stopping.abort();
    },
  };
}

function Countdown({ app, key_trouble }) {
  const left = useComputed(() => app.view.starts_ms - now.value);
  const before = useComputed(() => left.value > 0);
  const counter = useComputed(() => clock.countdown(left.value));
  const opening = key_trouble.value || !linkUp.value ? 'wait.key_trouble' : 'wait.opening';
  return html`<div class="wait-clock">
    <p class="lead">${before.value ? t('wait.until') : ''}</p>
    <p class="counter" role="timer" hidden=${!before.value}>${counter}</p>
    <p class="lead" role="status">${before.value ? t('wait.itself', { time: clock.wallClock(app.view.starts_ms) }) : t(opening)}</p>
  </div>`;
}

function Seal({ digest, seal }) {
  return html`<section class="card seal" data-seal=${seal}><h2>${t('wait.seal')}</h2>
    <p class="seal-state" role="status">${t(seal === 'open_failed' ? 'wait.open_failed' : `wait.seal_${seal}`)}</p>
    <p class="digest">${t('wait.digest', { digest: shortDigest(digest) })}</p><p class="hint">${t('wait.seal_meaning')}</p></section>`;
}

function Rules({ view: { starts_ms, ends_ms, rules } }) {
  const minutes = (ms) => Math.round(ms / 60_000);
  return html`<section class="card"><h2>${t('wait.rules')}</h2><ul class="rules">
    <li>${t('wait.rule_length', { minutes: minutes(ends_ms - starts_ms), ends: clock.wallClock(ends_ms) })}</li>
    ${rules.earliest_submit_ms > starts_ms && html`<li>${t('wait.rule_submit', { earliest: clock.wallClock(rules.earliest_submit_ms) })}</li>`}
    <li>${t('wait.rule_warning', { minutes: minutes(ends_ms - rules.warning_ms) })}</li>
    <li>${t('wait.rule_save')}</li>
    <li>${t('wait.rule_keys')}</li>
  </ul></section>`;
}
