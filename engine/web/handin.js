// Handing in: asked once, twice when something is open; everything on this machine goes first, then the hand-in itself is
// repeated until the engine answers. Its receipt is the only proof, so nothing here says "done" before it is in hand.

import { call, link, pause, retryDelay } from './api.js';
import * as clock from './clock.js';
import { h, setText } from './dom.js';
import { ask } from './frame.js';
import { explain, t } from './words.js';

/** Asks and hands in; resolves to the receipt, or null when the candidate goes on writing or the page must do something else. */
export async function handIn(app, { items, journal, autosave, onRefused }) {
  const { earliest_submit_ms } = app.view.rules;
  if (clock.now() < earliest_submit_ms) return tooEarly(earliest_submit_ms);
  if (!(await sure(items, journal))) return null;
  return send(app, { journal, autosave, onRefused });
}

async function tooEarly(earliest_submit_ms) {
  const text = t('hand_in.early', { time: clock.wallClock(earliest_submit_ms) });
  await ask(t('hand_in.title'), h('p', {}, text), [{ name: 'ok', text: t('hand_in.go_on'), kind: 'main' }]);
  return null;
}

async function sure(items, journal) {
  const { invalid, refused } = journal.counts();
  const troubled = invalid + refused;
  const open = items.filter((item) => !journal.answered(item.id)).length;
  const flagged = items.filter((item) => journal.flagged(item.id)).length;
  const line = (name, n) => n > 0 && h('li', { class: `tally-${name}` }, t(`hand_in.${name}`, { n }));
  const content = [h('ul', { class: 'tallies' }, line('answered', items.length - open), line('open', open), line('flagged', flagged), line('trouble', troubled)),
    h('p', {}, t('hand_in.final'))];
  const first = await ask(t('hand_in.title'), h('div', {}, content), choices('hand_in.yes'));
  if (first !== 'yes') return false;
  if (open + troubled === 0) return true;
  const lacks = [open > 0 && h('p', {}, t('hand_in.sure', { n: open })), troubled > 0 && h('p', {}, t('hand_in.sure_trouble', { n: troubled }))];
  return (await ask(t('hand_in.sure_title'), h('div', {}, lacks), choices('hand_in.sure_yes'))) === 'yes';
}

const choices = (yes) => [{ name: 'no', text: t('hand_in.go_on'), kind: 'main' }, { name: 'yes', text: t(yes), kind: 'grave' }];

async function send(app, { journal, autosave, onRefused }) {
  const waiting = new AbortController();
  const sheet = sendingSheet(() => waiting.abort());
  try {
    for (let failures = 0; ; ) {
      await Promise.race([autosave.drained(), aborted(waiting.signal)]);
      if (waiting.signal.aborted) return null;
      try {
        return await call('POST', '/v1/sitting/submit', { token: app.token, json: { seq: journal.acknowledged } });
      } catch (fault) {
        if (fault.code === 'submit.behind') journal.sendAgain();
        else if (fault.code === 'submit.too_early') return tooEarly(fault.body.earliest_submit_ms ?? app.view.rules.earliest_submit_ms);
        else if (!fault.transient) return refusedFor(fault, onRefused);
        await pause(retryDelay(failures, fault), waiting.signal);
        failures += 1;
      }
    }
  } finally {
    sheet.close();
  }
}

async function refusedFor(fault, onRefused) {
  if (fault.code === 'submit.closed') onRefused({ code: 'autosave.closed' });
  else if (fault.status === 401 || fault.code === 'sitting.superseded') onRefused(fault);
  else await ask(t('hand_in.title'), h('p', {}, explain(fault)), [{ name: 'ok', text: t('dialog.close'), kind: 'main' }]);
  return null;
}

function sendingSheet(onCancel) {
  const line = h('p', { role: 'status' });
  const tell = () => setText(line, t(link.up ? 'hand_in.sending' : 'hand_in.waiting'));
  const dialog = h('dialog', { 'aria-label': t('hand_in.title') }, line,
    h('div', { class: 'actions' }, h('button', { type: 'button', onclick: onCancel }, t('hand_in.cancel'))));
  dialog.addEventListener('cancel', (event) => event.preventDefault());
  link.addEventListener('change', tell);
  tell();
  document.body.append(dialog);
  dialog.showModal();
  return {
    close() {
      link.removeEventListener('change', tell);
      dialog.close();
      dialog.remove();
    },
  };
}

const aborted = (signal) => new Promise((resolve) => signal.addEventListener('abort', resolve));
