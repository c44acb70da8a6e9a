// The run of a device check: which measurement comes after which. It shows nothing and judges nothing.

import { tryChannel } from './device_line.js';
import { lookAtBrowser, lookAtMemory, lookAtScreen, timeProcessor, tryCamera, tryCrypto, tryStorage } from './device_machine.js';

/** Measures this machine and has it judged; resolves to what `judged(measured)` gives. `told(names, state)` hears how far it is; `onStream` shows the camera. */
export async function checkMachine({ line, token, judged, told, onStream }) {
  const began = performance.now();
  const measured = {};
  async function step(names, work) {
    told(names, 'running');
    Object.assign(measured, await work());
    told(names, 'measured');
  }
  // The camera may wait for somebody to press a button; the others need the processor or the line for themselves.
  const camera = step(['camera'], () => tryCamera(onStream));
  await step(['browser', 'system'], lookAtBrowser);
  await step(['screen', 'zoom'], async () => lookAtScreen(measured.browser));
  await step(['memory'], async () => lookAtMemory());
  await step(['processor'], timeProcessor);
  await step(['crypto'], tryCrypto);
  await step(['storage'], tryStorage);
  await step(['channel'], () => tryChannel(token));
  await step(['round_trip', 'clock'], line.timeTrips);
  await step(['down'], () => line.timeDown(measured.round_trip_ms));
  await step(['up'], () => line.timeUp(measured.round_trip_ms));
  await camera;
  const took_ms = Math.round(performance.now() - began);
  return judged({ ...measured, took_ms });
}
