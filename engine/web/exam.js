// The exam itself: one item at a time, the list beside it, the bar above. This file only wires: the journal keeps, autosave
// sends, the watch listens, and `mode` says who may write: null (this page), `readonly` (with a reason) or `ended`.

import { link } from './api.js';
import * as clock from './clock.js';
import { startAutosave } from './autosave.js';
import { barOf } from './bar.js';
import { fill, h } from './dom.js';
import { endedSheet, readonlySheet } from './closing.js';
import { gridOf } from './grid.js';
import { handIn } from './handin.js';
import { openJournal } from './journal.js';
import { questionOf, restoreDrafts } from './question.js';
import { fetchReceipt, receiptScreen } from './receipt.js';
import { figureUrls } from './stem.js';
import { startWatch } from './watch.js';
import { t } from './words.js';
import { openWriter } from './writer.js';

const WATCH_MS = 5_000;
const SETTLING_MS = 2_000; // something was just saved: soon it is recorded

/** `paper` is {items, media}; `claim` is true after a login: who types ID and code means to write here. */
export async function examScreen(app, paper, claim) {
  const { items } = paper;
  const figures = figureUrls(paper.media);
  const journal = await openJournal(app.view.sitting_id);
  const leaving = new AbortController();
  let autosave = null;
  let reason = null; // why this page may not write: tab, superseded, login
  let ended = false;
  let warned = false;
  let parts = null;
  let announced = null; // what the banner says, until it is read
  let index = 0;

  const mode = () => (reason ? 'readonly' : ended ? 'ended' : null);
  const writer = openWriter(app.view.sitting_id, app.token, { onYield: stopWriting, onLost: () => setReason('tab') });
  const watch = startWatch(app.token, () => (journal.settling ? SETTLING_MS : WATCH_MS), { onView, onRefused });

  async function start() {
    if (await writer.acquire()) return beginWriting();
    if (!claim) {
      journal.merge(app.view, { look: true });
      return setReason('tab');
    }
    await writer.takeOver();
    return beginWriting();
  }

  async function beginWriting() {
    await journal.reload();
    journal.merge(app.view);
    restoreDrafts(items, journal);
    reason = null;
    autosave = startAutosave(journal, app.token, onRefused);
    index = Math.max(0, items.findIndex((item) => item.id === journal.place));
    const disputed = items.filter((item) => journal.aside(item.id) !== undefined).length;
    if (disputed) announce(() => t('aside.found', { n: disputed }));
  }

  async function stopWriting() {
    parts?.question.flush();
    await journal.written();
    await autosave?.stop();
    autosave = null;
  }

  function setReason(next) {
    if (leaving.signal.aborted || reason === next || (reason && next === 'tab')) return;
    parts?.question.flush();
    reason = next;
    autosave?.stop();
    autosave = null;
    if (next !== 'tab') {
      watch.stop();
      writer.close();
    }
    app.redraw();
  }

  async function takeHere() {
    await writer.takeOver();
    await app.resume(); // the engine's newest view, then back to this item
  }

  function onRefused(problem) {
    if (problem.code === 'autosave.closed') end();
    else if (problem.code === 'sitting.superseded') setReason('superseded');
    else if (problem.status === 401 || problem.code === 'sitting.order') setReason('login');
  }

  async function onView(view) {
    const ends_ms = app.view.ends_ms;
    app.viewIs(view);
    if (reason === 'tab') await look(view);
    else journal.progress(view.generation, view.committed);
    if (view.ends_ms !== ends_ms) timeChanged();
    if (['submitted', 'collected'].includes(view.state)) end();
  }

  async function look(view) {
    const before = JSON.stringify(journal.value(items[index].id));
    await journal.reload();
    journal.merge(view, { look: true });
    if (JSON.stringify(journal.value(items[index].id)) !== before) showItem();
  }

  function timeChanged() {
    announce(() => t('exam.time_changed', { time: clock.wallClock(app.view.ends_ms) }));
    warned = warned && clock.now() >= app.view.rules.warning_ms;
    if (ended && clock.now() < app.view.ends_ms) reopen();
  }

  // ---- the end ------------------------------------------------------------------------------------------------

  let collecting = null;

  function end() {
    if (ended || leaving.signal.aborted) return;
    parts?.question.flush();
    ended = true;
    announced = null;
    collecting = new AbortController();
    for (const dialog of document.querySelectorAll('dialog')) dialog.close();
    app.redraw();
    collect(collecting.signal);
  }

  async function collect(signal) {
    const closes_ms = app.view.ends_ms + app.view.rules.grace_s * 1000;
    const over = ['submitted', 'collected'].includes(app.view.state);
    await clock.sleepUntil(over ? 0 : closes_ms + Math.random() * 1_500, signal);
    const receipt = await fetchReceipt(app.token, signal);
    if (receipt && !signal.aborted) finish(receipt);
  }

  // Lost time given back in the grace: the candidate goes on.
  function reopen() {
    collecting.abort();
    ended = false;
    autosave?.stop();
    autosave = startAutosave(journal, app.token, onRefused);
    app.redraw();
  }

  function finish(receipt) {
    const undelivered = items.filter((item) => journal.undelivered().includes(item.id)).map((item) => item.number);
    app.show(receiptScreen(app, receipt, { journal: reason ? null : journal, undelivered: reason ? [] : undelivered }));
  }

  // ---- what is seen -------------------------------------------------------------------------------------------

  function go(next) {
    if (next < 0 || next >= items.length) return;
    parts.question.flush();
    index = next;
    if (!reason) journal.setPlace(items[index].id);
    showItem();
    parts.question.heading.focus({ preventScroll: true });
  }

  function showItem() {
    const question = questionOf(items[index], { count: items.length, journal, figures, readonly: mode() !== null,
      stopped: reason === 'superseded' || reason === 'login', redraw: showItem });
    parts.question = question;
    fill(parts.desk, question.element);
    fill(parts.standing, question.state);
    parts.desk.scrollTop = 0;
    parts.grid.place(index);
    parts.previous.disabled = index === 0;
    parts.next.disabled = index === items.length - 1;
    parts.flag.disabled = mode() !== null;
    showFlag();
  }

  function showFlag() {
    const flagged = journal.flagged(items[index].id);
    parts.flag.setAttribute('aria-pressed', flagged);
    parts.flag.textContent = `⚑ ${t(flagged ? 'exam.unflag' : 'exam.flag')}`;
  }

  function announce(text) {
    announced = text;
    if (parts) showBanner();
  }

  function showBanner() {
    const read = h('button', { type: 'button', class: 'quiet', onclick: () => announce(null) }, t('dialog.close'));
    fill(parts.banner, announced && [h('p', {}, announced()), read]);
  }

  async function askHandIn() {
    parts.question.flush();
    await journal.written();
    const receipt = await handIn(app, { items, journal, autosave, onRefused });
    if (receipt) finish(receipt);
  }

  function render() {
    parts?.question.flush();
    const button = (id, text, onclick) => h('button', { type: 'button', id, onclick }, text);
    const toggle = () => (journal.toggleFlag(items[index].id), showFlag());
    parts = {
      desk: h('main', { class: 'desk', tabIndex: -1 }), standing: h('div', { class: 'standing' }), banner: h('div', { class: 'banner', role: 'alert' }),
      previous: button('previous', `← ${t('exam.previous')}`, () => go(index - 1)), next: button('next', `${t('exam.next')} →`, () => go(index + 1)),
      flag: button('flag', '', toggle), grid: gridOf(items, journal, go), bar: barOf(app, journal, { mode, handIn: askHandIn }),
    };
    const sheet = reason ? readonlySheet(app, { reason, left: journal.undelivered().length, takeHere }) : ended && endedSheet(items, journal);
    const walk = h('div', { class: 'walk' }, parts.standing, parts.previous, parts.flag, parts.next);
    showItem();
    showBanner();
    requestAnimationFrame(() => parts.grid.place(index)); // now that it can scroll
    return [parts.bar.element, h('div', { class: 'room' }, h('div', { class: 'left-side' }, parts.banner, sheet, parts.desk, walk), parts.grid.element)];
  }

  let settling = false;

  function changed({ detail }) {
    if (journal.settling && !settling) watch.replan();
    settling = journal.settling;
    if (!parts) return;
    if (detail === null || detail === items[index].id) parts.question.update();
    parts.grid.update(detail);
    parts.bar.update();
  }

  function tick() {
    if (!parts) return;
    parts.bar.tick();
    const now_ms = clock.now();
    const { ends_ms, rules } = app.view;
    if (!warned && !reason && now_ms >= rules.warning_ms && now_ms < ends_ms) {
      warned = true;
      const time = clock.countdown(ends_ms - now_ms);
      announce(() => t('exam.warning', { time }));
    }
    if (now_ms >= ends_ms) end();
  }

  const { signal } = leaving;
  const stopTicking = clock.everyTick(tick);
  const flush = () => parts?.question.flush();
  journal.addEventListener('change', changed, { signal });
  link.addEventListener('change', () => changed({ detail: null }), { signal });
  document.addEventListener('visibilitychange', flush, { signal });
  addEventListener('pagehide', flush, { signal });
  // Back must not leave the exam: there is always one more entry to go back from.
  const stay = () => history.pushState(null, '');
  stay();
  addEventListener('popstate', stay, { signal });
  addEventListener('beforeunload', (event) => mode() === null && journal.undelivered().length > 0 && event.preventDefault(), { signal });
  await start();

  return {
    render,
    focus: '.question-number',
    stop() {
      leaving.abort();
      collecting?.abort();
      stopTicking();
      watch.stop();
      autosave?.stop();
      writer.close();
      for (const url of figures.values()) URL.revokeObjectURL(url);
    },
  };
}
