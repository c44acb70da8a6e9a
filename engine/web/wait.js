// Between the pledge and the first question: the sealed paper is fetched and its digest shown, the server's time counts
// down, at the start the paper key is asked for and the paper opens by itself. Also the way back in after a reload.

import { call, link, pause, retryDelay } from './api.js';
import * as clock from './clock.js';
import { h, setText } from './dom.js';
import { frame } from './frame.js';
import { arrange } from './order.js';
import { bytesOf, fetchSealed, openSealed, SealBroken, shortDigest } from './seal.js';
import { startWatch } from './watch.js';
import { t } from './words.js';

const FETCH_SPREAD_MS = 15_000; // a room's machines do not all fetch at once
const KEY_SPREAD_MS = 400; // nor ask for the key in the same instant
const WATCH_MS = 15_000;

/** `onOpen({items, media})` is called once, when the paper is open. */
export function waitScreen(app, onOpen) {
  const stopping = new AbortController();
  const { signal } = stopping;
  let seal = 'fetching';
  let key_trouble = false;
  let draw = () => {};

  const watch = startWatch(app.token, () => WATCH_MS, { onView, onRefused: app.refused });
  link.addEventListener('change', () => draw(), { signal });

  const left_ms = () => app.view.starts_ms - clock.now();

  function onView(view) {
    app.viewIs(view);
    if (!['pledged', 'in_progress'].includes(view.state)) app.stateIs(view.state);
  }

  async function run() {
    const [sealed, keys] = await Promise.all([sealedPaper(), releasedKeys()]);
    if (signal.aborted) return;
    for (let failures = 0, bytes = sealed; !signal.aborted; failures += 1) {
      try {
        const paper = await openSealed(bytes, bytesOf(keys.paper_key), app.view.batch_id);
        const items = await arrange(paper, bytesOf(keys.seed), app.view.rules);
        if (!signal.aborted) await onOpen({ items, media: paper.media ?? {} });
        return;
      } catch (fault) {
        if (app.refused(fault)) return;
        console.error(fault);
        show('open_failed');
        await pause(retryDelay(failures + 2), signal);
        bytes = await fetchSealed(app.view.paper.digest, true).catch(() => bytes);
      }
    }
  }

  async function sealedPaper() {
    await pause(Math.random() * Math.max(0, Math.min(FETCH_SPREAD_MS, left_ms() / 4)), signal);
    for (let failures = 0; !signal.aborted; failures += 1) {
      try {
        const sealed = await fetchSealed(app.view.paper.digest, failures > 0);
        show('intact');
        return sealed;
      } catch (fault) {
        if (app.refused(fault)) return null;
        show(fault instanceof SealBroken ? 'broken' : 'trouble');
        await pause(retryDelay(failures, fault), signal);
      }
    }
    return null;
  }

  async function releasedKeys() {
    for (let failures = 0; !signal.aborted; ) {
      await pause(Math.max(0, left_ms()) + Math.random() * KEY_SPREAD_MS, signal);
      if (signal.aborted || left_ms() > 0) continue;
      try {
        return await call('GET', '/v1/sitting/paper-key', { token: app.token });
      } catch (fault) {
        if (fault.status === 425) {
          if (fault.body.starts_ms) app.view.starts_ms = fault.body.starts_ms;
          await pause(200, signal);
          continue;
        }
        if (app.refused(fault)) return null;
        key_trouble = true;
        draw();
        await pause(retryDelay(failures, fault), signal);
        failures += 1;
      }
    }
    return null;
  }

  function show(next) {
    seal = next;
    draw();
  }

  function render() {
    const { starts_ms, ends_ms, rules, paper } = app.view;
    const minutes = (ms) => Math.round(ms / 60_000);
    const counter = h('p', { class: 'counter', role: 'timer' });
    const above = h('p', { class: 'lead' });
    const below = h('p', { class: 'lead', role: 'status' });
    const sealLine = h('p', { class: 'seal-state', role: 'status' });
    const sealBox = h('section', { class: 'card seal' }, h('h2', {}, t('wait.seal')), sealLine,
      h('p', { class: 'digest' }, t('wait.digest', { digest: shortDigest(paper.digest) })), h('p', { class: 'hint' }, t('wait.seal_meaning')));
    draw = () => {
      const before = left_ms() > 0;
      counter.hidden = !before;
      setText(counter, clock.countdown(left_ms()));
      setText(above, before ? t('wait.until') : '');
      const opening = key_trouble || !link.up ? 'wait.key_trouble' : 'wait.opening';
      setText(below, before ? t('wait.itself', { time: clock.wallClock(app.view.starts_ms) }) : t(opening));
      setText(sealLine, t(seal === 'open_failed' ? 'wait.open_failed' : `wait.seal_${seal}`));
      sealBox.dataset.seal = seal;
    };
    draw();
    const late = left_ms() <= 0;
    return frame(app, { step: late ? null : 'wait', title: t(late ? 'wait.opening_title' : 'wait.title'), wide: true },
      h('div', { class: 'waiting' },
        h('div', { class: 'wait-clock' }, above, counter, below),
        h('div', { class: 'wait-side' }, sealBox,
          h('section', { class: 'card' }, h('h2', {}, t('wait.rules')), h('ul', { class: 'rules' },
            h('li', {}, t('wait.rule_length', { minutes: minutes(ends_ms - starts_ms), ends: clock.wallClock(ends_ms) })),
            rules.earliest_submit_ms > starts_ms && h('li', {}, t('wait.rule_submit', { earliest: clock.wallClock(rules.earliest_submit_ms) })),
            h('li', {}, t('wait.rule_warning', { minutes: minutes(ends_ms - rules.warning_ms) })),
            h('li', {}, t('wait.rule_save')))))));
  }

  const stopTicking = clock.everyTick(() => draw());
  run();
  return {
    render,
    stop() {
      stopTicking();
      watch.stop();
      stopping.abort();
    },
  };
}
