// The photo between the pledge and the waiting, where the batch asks for one. Fetched only then: `import('./photo.js')`.
//
// Promise: a picture that the candidate has chosen is kept on this machine and sent until the engine has stored it: when
// the engine's database is away it says that the picture is owed, and the exam goes on (`sendOwed`). Without a camera
// nothing is lost either: the screen says so, and goes on by itself once a proctor has waived the photo.
// What is sent is what was seen, at most 640 x 480 and as strong as JPEG must be to fit a room's line.
//
// Exports: photoScreen(app) and sendOwed(app), for app.js; encode(source), for whoever tests it.

import { call, pause, retryDelay, untilAnswered } from './api.js';
import * as clock from './clock.js';
import { Alert, Frame } from './frame.js';
import { html, signal, useEffect, useRef } from './html.js';
import { linkUp } from './live.js';
import { dropPhoto, keepPhoto, photos } from './store.js';
import { startWatch } from './watch.js';
import { words } from './words.photo.js';
import { explain, learn, t } from './words.js';

const WATCH_MS = 15_000;
const WAITING_MS = 1_500; // for a waiver, where there is no channel that tells it
const WIDTH_PX = 640;
const HEIGHT_PX = 480;
const WIDTH_PX_MIN = 320; // the engine's
const HEIGHT_PX_MIN = 240;
const WANTED_BYTES = 25_000; // 20 s of a machine's share of the line
const BYTES_MAX = 40 * 1024; // the engine's
const SCALES = [1, 0.75, 0.5];
const QUALITIES = [0.8, 0.7, 0.6, 0.5, 0.4, 0.3];

learn(words);
const look = document.querySelector('link[rel=stylesheet]').href;
document.head.append(Object.assign(document.createElement('link'), { rel: 'stylesheet', href: look.replace(/[^/]+$/, 'photo.css') }));

// ---- the screen -----------------------------------------------------------------------------------------------

export function photoScreen(app) {
  const stopping = new AbortController();
  const { signal: stopped } = stopping;
  const stage = signal('starting'); // starting, live, taken, sending, trouble
  const trouble = signal(null); // missing, refused, busy, small, insecure, other
  const fault = signal(null);
  const stream = signal(null);
  const taken = signal(null); // {blob, url}
  const refused = app.view.photo === 'refused';
  let attempt = 0;

  const watch = startWatch(app.token, () => (trouble.value ? WAITING_MS : WATCH_MS), { onView, onNotice, onRefused: app.refused });
  const stopTicking = clock.everyTick(goOn); // at the start a photo that was refused is asked for no more

  function onView(view) {
    if (stopped.aborted) return;
    app.viewIs(view);
    goOn();
  }

  function goOn() {
    if (!app.photoIsDue || !['pledged', 'in_progress'].includes(app.view.state)) app.stateIs(app.view.state);
  }

  function onNotice({ code }) {
    if (code.startsWith('photo.')) onView({ photo: code.slice('photo.'.length) });
  }

  async function start() {
    attempt += 1;
    const mine = attempt;
    stage.value = 'starting';
    trouble.value = fault.value = null;
    try {
      const found = await openCamera();
      if (stopped.aborted || mine !== attempt) return close(found);
      for (const track of found.getVideoTracks()) track.addEventListener('ended', () => mine === attempt && fail('missing'));
      stream.value = found; // live once it shows something
    } catch (problem) {
      if (!stopped.aborted && mine === attempt) fail(troubleOf(problem));
    }
  }

  function seen() {
    if (stage.value !== 'starting') return;
    stage.value = 'live';
    focus('#take');
  }

  function fail(what) {
    closeCamera();
    trouble.value = what;
    stage.value = 'trouble';
    watch.replan();
    focus('#camera-again');
  }

  function closeCamera() {
    close(stream.value);
    stream.value = null;
  }

  async function take() {
    const video = document.querySelector('.photo-frame video');
    if (stage.value !== 'live' || !video?.videoWidth) return;
    const blob = await encode(video);
    if (stopped.aborted || stage.value !== 'live') return;
    if (!blob) return fail('small');
    attempt += 1; // the camera may end now
    closeCamera();
    taken.value = { blob, url: URL.createObjectURL(blob) };
    stage.value = 'taken';
    fault.value = null;
    focus('#use');
  }

  function again() {
    forget();
    return start();
  }

  function forget() {
    if (taken.value) URL.revokeObjectURL(taken.value.url);
    taken.value = null;
  }

  async function use() {
    if (stage.value !== 'taken') return;
    stage.value = 'sending';
    fault.value = null;
    const { token, view: { sitting_id } } = app;
    const { blob } = taken.value;
    try {
      // Kept before it is sent: should the answer be lost, or say that the picture is owed, it is here to be sent again.
      await keep({ sitting_id, token, blob, kept_ms: Date.now() });
      const { photo } = await untilAnswered(() => send(token, blob), stopped);
      if (photo === 'owed') sendOwed(app);
      else drop(sitting_id);
      if (stopped.aborted) return;
      app.viewIs({ photo });
      app.stateIs(app.view.state);
    } catch (problem) {
      if (problem.transient) return sendOwed(app); // this screen has gone
      drop(sitting_id);
      if (stopped.aborted || app.refused(problem)) return;
      if (problem.code === 'sitting.order' || problem.code === 'photo.not_required') return app.resume();
      stage.value = 'taken';
      fault.value = () => explain(problem);
    }
  }

  // A camera that is plugged in, or given free, is found without a click.
  navigator.mediaDevices?.addEventListener?.('devicechange', () => stage.value === 'trouble' && start(), { signal: stopped });
  start();

  const View = () => html`<${Frame} app=${app} step="photo" title=${t('photo.title')} wide>
    ${refused && html`<div class="notice"><p>${t('photo.refused')}</p></div>`}
    <div class="photo-desk">
      <div class="photo-frame">${taken.value ? html`<img src=${taken.value.url} alt=${t('photo.yours')} />`
        : stream.value ? html`<${Live} stream=${stream.value} onSeen=${seen} />` : html`<p class="photo-none" aria-hidden="true">${stage.value === 'trouble' ? '✕' : '…'}</p>`}</div>
      <div class="photo-side">
        ${stage.value === 'trouble' ? html`<${Trouble} what=${trouble.value} again=${start} />`
          : taken.value ? html`<${Chosen} sending=${stage.value === 'sending'} fault=${fault.value} use=${use} again=${again} />`
            : html`<${Posing} ready=${stage.value === 'live'} take=${take} />`}
        ${refused && html`<div class="actions"><button type="button" id="photo-later" onclick=${() => app.passPhoto()}>${t('photo.later')}</button></div>`}
      </div>
    </div>
  </${Frame}>`;

  return {
    View,
    stop() {
      stopping.abort();
      stopTicking();
      watch.stop();
      closeCamera();
      forget();
    },
  };
}

function Live({ stream, onSeen }) {
  const video = useRef(null);
  useEffect(() => {
    video.current.srcObject = stream;
    return () => video.current && (video.current.srcObject = null);
  }, [stream]);
  return html`<video ref=${video} autoplay muted playsinline onloadeddata=${onSeen} aria-label=${t('photo.live')}></video>`;
}

function Posing({ ready, take }) {
  return html`<p class="lead">${t('photo.lead')}</p><p>${t(ready ? 'photo.ready' : 'photo.allow')}</p>
    <div class="actions"><button type="button" class="main" id="take" disabled=${!ready} onclick=${take}>${t('photo.take')}</button></div>
    <p class="hint">${t('photo.why')}</p>`;
}

function Chosen({ sending, fault, use, again }) {
  const said = sending ? (linkUp.value ? 'photo.sending' : 'photo.sending_trouble') : 'photo.look';
  return html`<p class="lead" role="status">${t(said)}</p>
    <${Alert} text=${fault} />
    <div class="actions">
      <button type="button" class="main" id="use" disabled=${sending} onclick=${use}>${t('photo.use')}</button>
      <button type="button" id="again" disabled=${sending} onclick=${again}>${t('photo.again')}</button>
    </div>`;
}

function Trouble({ what, again }) {
  return html`<div role="alert" class="photo-trouble" data-trouble=${what}>
      <p class="lead"><strong>${t(`photo.trouble_${what}`)}</strong></p><p>${t(`photo.help_${what}`)}</p>
      <p class="photo-proctor"><strong>${t('photo.proctor')}</strong></p><p>${t('photo.waiting')}</p></div>
    <div class="actions"><button type="button" class="main" id="camera-again" onclick=${again}>${t('photo.try')}</button></div>`;
}

// Drawn in the next microtask or two; the focus follows it there.
const focus = (selector) => requestAnimationFrame(() => document.querySelector(selector)?.focus({ preventScroll: true }));

// ---- the camera -----------------------------------------------------------------------------------------------

async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) throw Object.assign(new Error('no camera'), { name: isSecureContext ? 'NotFoundError' : 'Insecure' });
  const size = { width: { ideal: WIDTH_PX }, height: { ideal: HEIGHT_PX } };
  return navigator.mediaDevices.getUserMedia({ audio: false, video: { ...size, facingMode: 'user' } });
}

function close(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

const TROUBLES = { NotFoundError: 'missing', OverconstrainedError: 'missing', NotAllowedError: 'refused', SecurityError: 'refused',
  NotReadableError: 'busy', AbortError: 'busy', Insecure: 'insecure' };
const troubleOf = ({ name }) => TROUBLES[name] ?? 'other';

/** The picture as a JPEG of BYTES_MAX at most, of WANTED_BYTES where it can be; null when the camera's is too small. */
export async function encode(source) {
  const [width, height] = [source.videoWidth ?? source.width, source.videoHeight ?? source.height];
  const whole = Math.min(1, WIDTH_PX / width, WIDTH_PX / height);
  const canvas = document.createElement('canvas');
  let smallest = null;
  for (const scale of SCALES) {
    [canvas.width, canvas.height] = [Math.round(width * whole * scale), Math.round(height * whole * scale)];
    if (canvas.width < WIDTH_PX_MIN || canvas.height < HEIGHT_PX_MIN) break;
    canvas.getContext('2d').drawImage(source, 0, 0, canvas.width, canvas.height);
    for (const quality of QUALITIES) {
      const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', quality));
      if (blob && (!smallest || blob.size < smallest.size)) smallest = blob;
      if (smallest?.size <= WANTED_BYTES) return smallest;
    }
    if (smallest?.size <= BYTES_MAX) return smallest; // a full picture that is strong enough, before a smaller one
  }
  return smallest?.size <= BYTES_MAX ? smallest : null;
}

// ---- sending --------------------------------------------------------------------------------------------------

const send = (token, blob) => call('POST', '/v1/sitting/photo', { token, blob });

const unkept = new Map(); // sitting -> record, where this machine has no disk for it

const keep = (record) => keepPhoto(record).catch(() => unkept.set(record.sitting_id, record));

function drop(sitting_id) {
  unkept.delete(sitting_id);
  return dropPhoto(sitting_id).catch(() => {});
}

let sending = false;

/** Sends the pictures that this machine owes, until there is none that it can; one loop, however often. Never fails. */
export async function sendOwed(app) {
  if (sending) return;
  sending = true;
  for (let failures = 0, wait_ms = 1; wait_ms; failures += 1) {
    wait_ms = 0;
    for (const record of [...(await photos().catch(() => [])), ...unkept.values()]) {
      wait_ms = Math.max(wait_ms, await trySending(app, record, failures));
    }
    if (wait_ms) await pause(wait_ms);
  }
  sending = false;
}

/** Milliseconds to wait before the next attempt; 0 when there is none. */
async function trySending(app, { sitting_id, token, blob }, failures) {
  try {
    // A later login ends the token that the picture came with.
    const { photo, retry_after_s } = await send(app.view?.sitting_id === sitting_id ? app.token : token, blob);
    if (photo === 'owed') return retry_after_s * 1000 * (0.5 + Math.random());
  } catch (fault) {
    if (fault.transient) return retryDelay(failures + 4, fault);
    // Its candidate sits elsewhere now: it is kept, in case that was not the last login.
    if (fault.status === 401 || fault.code === 'sitting.superseded') return 0;
  }
  await drop(sitting_id);
  return 0;
}
