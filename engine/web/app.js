// The page: which screen is on, whose token it holds. No navigation ever happens; screens replace each other.
//
// A screen is an object {View, stop?, focus?}, made by a function such as `confirmScreen(app)`. `View` is a component
// without props (`const View = () => html\`<${Frame} app=${app} title=${t('…')}>…</${Frame}>\``) that draws itself again
// when a signal it read changes: its own, `app.view` (the sitting as the engine told it last), the language. `stop()` ends
// what the screen started; `focus` is a selector, the heading unless given. `app.show(screen)` puts it on, `app.stateIs`
// and `app.resume` let the sitting's state decide what comes next, `app.refused(problem)` deals with a lost token.

import { call, pause, retryDelay, untilAnswered } from './api.js';
import * as clock from './clock.js';
import { confirmScreen, pledgeScreen } from './confirm.js';
import { examScreen } from './exam.js';
import { busyScreen, messageScreen } from './frame.js';
import { effect, html, render, signal } from './html.js';
import { loginScreen } from './login.js';
import { obstacle } from './machine.js';
import { keptKeys, sittingOf } from './pass.js';
import { fetchReceipt, receiptScreen } from './receipt.js';
import { keepShell } from './shell.js';
import { photos, prune } from './store.js';
import { waitScreen } from './wait.js';
import { forgetLook, t } from './words.js';
import { writerLock } from './writer.js';

const TOKEN = 'liankao.token'; // in this tab's storage: a reload goes on, another tab does not take over

const page = document.getElementById('page');
const view = signal(null);
let screen = null;
let shown = 0;
let claim = false; // this page's token came from a login typed here
let photo_passed = false; // the candidate goes on with a photo that a proctor has refused
let checked = false; // this machine has had its device check, or needs none

const app = {
  token: null,

  get view() {
    return view.value;
  },

  show(next) {
    screen?.stop?.();
    screen = next;
    shown += 1;
    render(html`<${next.View} key=${shown} />`, page);
    page.querySelector(next.focus ?? 'h1')?.focus({ preventScroll: true });
    scrollTo(0, 0);
  },

  viewIs(changes) {
    view.value = { ...view.value, ...changes };
  },

  /** Whether the photo step is to come: there is none, or a proctor asks for another one while there is time. */
  get photoIsDue() {
    const { photo, starts_ms } = app.view;
    return photo === 'due' || (photo === 'refused' && !photo_passed && clock.now() < starts_ms);
  },

  passPhoto() {
    photo_passed = true;
    route();
  },

  /** After a login typed here. */
  async entered(token, entered) {
    app.token = token;
    view.value = entered;
    claim = true;
    checked = false;
    sessionStorage.setItem(TOKEN, token);
    navigator.storage?.persist?.();
    await route();
  },

  /** The sitting's next state, as a step just answered. */
  stateIs(state) {
    app.viewIs({ state });
    route();
  },

  /** Goes on with a token there is already: after a reload, or in another tab. */
  async resume(token = app.token) {
    app.token = token;
    app.show(busyScreen(app));
    try {
      view.value = await sittingOf(token);
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
    app.token = null;
    view.value = null;
    photo_passed = false;
    if (!notice) forgetLook();
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
  if (app.view.photo === 'owed') sendOwedPhotos();
  const { kind, state } = app.view;
  if (kind === 'device_check' && !checked && (claim || state === 'checked_in')) return checkDevice(goOn);
  switch (app.view.state) {
    case 'checked_in':
      return app.show(confirmScreen(app));
    case 'confirmed':
      return app.show(pledgeScreen(app));
    case 'pledged':
    case 'in_progress':
      // Who has opened the paper on this machine goes on, whatever became of the photo.
      if (app.photoIsDue && !(await keptKeys(app.token))) return showPhoto();
      return app.show(waitScreen(app, openExam));
    case 'submitted':
    case 'collected':
      return showReceipt();
    default:
      return app.show(messageScreen(app, { title: 'stop.title', text: `stop.${app.view.state}`, button: 'stop.back', onButton: () => app.leave() }));
  }
}

async function showPhoto() {
  app.show(busyScreen(app));
  const { photoScreen } = await fetched('./photo.js');
  app.show(photoScreen(app));
}

/** A module that few candidates need, and so no part of the page. A browser may remember an address that failed once. */
async function fetched(address) {
  for (let failures = 0; ; failures += 1) {
    try {
      return await import(failures ? `${address}?${failures}` : address);
    } catch (fault) {
      console.warn(fault);
      await pause(retryDelay(failures));
    }
  }
}

async function sendOwedPhotos() {
  const { sendOwed } = await fetched('./photo.js');
  sendOwed(app);
}

async function checkDevice(onDone) {
  app.show(busyScreen(app));
  const { deviceScreen } = await fetched('./device.js');
  app.show(deviceScreen(app, onDone));
}

function goOn() {
  checked = true;
  route();
}

async function openExam(paper, on_time) {
  // The login's reply has no answers: a sitting that went on elsewhere is asked for them before its first item shows. No
  // answer is older than the start: who opens with it, and in no second tab, does not ask. A whole hall would, at once.
  if (on_time && !(await writerLock())) app.viewIs({ responses: app.view.responses ?? {} });
  if (!app.view.responses) app.viewIs(await untilAnswered(() => call('GET', '/v1/sitting', { token: app.token })));
  const exam = await examScreen(app, paper, claim);
  claim = false;
  app.show(exam);
}

async function showReceipt() {
  app.show(busyScreen(app));
  const receipt = await fetchReceipt(app.token);
  if (receipt) app.show(receiptScreen(app, receipt));
  else app.leave('readonly.login');
}

function start() {
  page.replaceChildren();
  effect(() => {
    document.title = app.view?.title ?? t('brand');
  });
  const text = obstacle();
  if (text) return app.show(messageScreen(app, { title: 'stop.title', text }));
  // What a candidate before still owes is sent when there is a server again.
  prune().then(photos).then((owed) => owed.length && sendOwedPhotos()).catch(() => {});
  keepShell(() => !app.token && [...document.querySelectorAll('input')].every((input) => !input.value));
  const token = sessionStorage.getItem(TOKEN);
  // Who has logged in from there since goes on with the exam when reloading: leaving a look is leaving the sitting.
  if (!token && location.hash === '#device') return checkDevice();
  return token ? app.resume(token) : app.show(loginScreen(app));
}

start();
