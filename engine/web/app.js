// The page: which screen is on, whose token it holds. No navigation ever happens; screens replace each other.
// A screen is {render() -> nodes, stop?(), focus?}; the sitting's state decides which one comes.

import './html.js';
import { call, link, untilAnswered } from './api.js';
import { confirmScreen, pledgeScreen } from './confirm.js';
import { fill } from './dom.js';
import { examScreen } from './exam.js';
import { busyScreen, messageScreen } from './frame.js';
import { loginScreen } from './login.js';
import { fetchReceipt, receiptScreen } from './receipt.js';
import { prune } from './store.js';
import { waitScreen } from './wait.js';
import { t } from './words.js';

const TOKEN = 'liankao.token'; // in this tab's storage: a reload goes on, another tab does not take over

const page = document.getElementById('page');
let screen = null;
let claim = false; // this page's token came from a login typed here

const app = {
  token: null,
  view: null, // the sitting as the engine told it last

  show(next) {
    screen?.stop?.();
    screen = next;
    app.redraw();
    page.querySelector(screen.focus ?? 'h1')?.focus({ preventScroll: true });
    scrollTo(0, 0);
  },

  redraw() {
    if (screen) fill(page, screen.render());
    document.title = app.view?.title ?? t('brand');
  },

  viewIs(view) {
    app.view = { ...app.view, ...view };
  },

  /** After a login typed here. */
  async entered(token, view) {
    Object.assign(app, { token, view });
    claim = true;
    sessionStorage.setItem(TOKEN, token);
    navigator.storage?.persist?.();
    await route();
  },

  /** The sitting's next state, as a step just answered. */
  stateIs(state) {
    app.view.state = state;
    route();
  },

  /** Goes on with a token there is already: after a reload, or in another tab. */
  async resume(token = app.token) {
    app.token = token;
    app.show(busyScreen(app, link));
    try {
      app.view = await untilAnswered(() => call('GET', '/v1/sitting', { token }));
    } catch (problem) {
      if (!app.refused(problem)) app.leave('readonly.login');
      return;
    }
    sessionStorage.setItem(TOKEN, token);
    await route();
  },

  /** Back to the login; `notice` says why. */
  leave(notice) {
    sessionStorage.removeItem(TOKEN);
    Object.assign(app, { token: null, view: null });
    app.show(loginScreen(app, notice));
  },

  /** Deals with a token that no longer counts, wherever it is met; whether it did. */
  refused(problem) {
    if (problem.code === 'sitting.superseded') {
      app.show(messageScreen(app, { title: 'readonly.superseded_title', text: 'readonly.superseded', button: 'readonly.superseded_take',
        onButton: () => app.leave('login.again') }));
      return true;
    }
    if (problem.status === 401) app.leave('readonly.login');
    return problem.status === 401;
  },
};

async function route() {
  switch (app.view.state) {
    case 'checked_in':
      return app.show(confirmScreen(app));
    case 'confirmed':
      return app.show(pledgeScreen(app));
    case 'pledged':
    case 'in_progress':
      return app.show(waitScreen(app, openExam));
    case 'submitted':
    case 'collected':
      return showReceipt();
    default:
      return app.show(messageScreen(app, { title: 'stop.title', text: `stop.${app.view.state}`, button: 'stop.back', onButton: () => app.leave() }));
  }
}

async function openExam(paper) {
  // The login's reply has no answers: a sitting that went on elsewhere is asked for them before its first item shows.
  if (!app.view.responses) app.viewIs(await untilAnswered(() => call('GET', '/v1/sitting', { token: app.token })));
  const exam = await examScreen(app, paper, claim);
  claim = false;
  app.show(exam);
}

async function showReceipt() {
  app.show(busyScreen(app, link));
  const receipt = await fetchReceipt(app.token);
  if (receipt) app.show(receiptScreen(app, receipt));
  else app.leave('readonly.login');
}

function start() {
  const unable = (text) => app.show(messageScreen(app, { title: 'stop.title', text }));
  if (!isSecureContext || !globalThis.crypto?.subtle) return unable('stop.insecure');
  if (!globalThis.DecompressionStream || !navigator.locks || !AbortSignal.timeout) return unable('stop.old');
  prune().catch(() => {});
  const token = sessionStorage.getItem(TOKEN);
  return token ? app.resume(token) : app.leave();
}

start();
