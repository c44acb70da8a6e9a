// Whether this machine may be used: a desktop or laptop with a browser that can open the paper. Phones and tablets are
// told that they cannot. A laptop with a touch screen has a pointer beside it, so it passes; so does a machine without
// any touch, whatever its name.

const HANDHELD = /Android|iPhone|iPad|iPod|Mobile|HarmonyOS|Silk|Kindle/i;
const DESKTOP = /CrOS|Windows NT|X11/i; // a browser in its "desktop site" mode still tells itself by its touch
const SCREEN_PX_MIN = 480; // the shorter side of a screen with touch; 1366 x 768 at 150 % still has 512

/** The name of the text that says why not, or null. */
export function obstacle() {
  if (isHandheld(traits())) return 'stop.handheld';
  if (!isSecureContext || !globalThis.crypto?.subtle) return 'stop.insecure';
  if (!globalThis.DecompressionStream || !navigator.locks || !AbortSignal.timeout) return 'stop.old';
  return null;
}

function traits() {
  const { userAgent, userAgentData, platform, maxTouchPoints } = navigator;
  return { userAgent, mobile: userAgentData?.mobile === true, platform, touch_points: maxTouchPoints ?? 0,
    pointer: matchMedia('(any-pointer: fine)').matches, short_side_px: Math.min(screen.width, screen.height) };
}

/** Pure. `pointer`: there is a mouse or trackpad. */
function isHandheld({ userAgent, mobile, platform, touch_points, pointer, short_side_px }) {
  if (mobile || (HANDHELD.test(userAgent) && !DESKTOP.test(userAgent))) return true;
  if (touch_points === 0) return false;
  if (/^Mac/.test(platform)) return touch_points > 1; // no Mac has a touch screen: an iPad that asks for desktop sites
  return !pointer || short_side_px < SCREEN_PX_MIN;
}
