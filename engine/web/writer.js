// One writer per sitting in this browser, by a Web Lock. Another tab only reads, until it asks the writer to step back
// (the writer journals what it still holds, then lets go); a writer that does not answer is overruled.

const RELOAD_MS = 1_500; // a page that is just being reloaded lets go of its lock a moment late
const YIELD_MS = 2_000;
const PREFIX = 'liankao-';

/**
 * The right to write for `sitting_id`. `onYield` is awaited before the lock is given up, `onLost` is told afterwards.
 * The writer hands `token` to a new tab of this browser that asks for it, so that looking does not take the exam over.
 */
export function openWriter(sitting_id, token, { onYield, onLost }) {
  const name = PREFIX + sitting_id;
  const channel = new BroadcastChannel(name);
  let release = null;

  const writer = {
    get held() {
      return release !== null;
    },
    /** Waits a moment for the lock; whether it was given. */
    acquire: (wait_ms = RELOAD_MS) => request({ signal: AbortSignal.timeout(wait_ms) }),
    /** Asks the other tab to step back, and overrules it when it does not. */
    async takeOver() {
      channel.postMessage('yield');
      if (!(await writer.acquire(YIELD_MS))) await request({ steal: true });
    },
    close() {
      release?.();
      release = null;
      channel.close();
    },
  };

  function request(options) {
    return new Promise((given) => {
      const holding = navigator.locks.request(name, options, () => {
        given(true);
        return new Promise((let_go) => (release = let_go));
      });
      holding.catch(() => {
        given(false);
        lose();
      });
    });
  }

  function lose() {
    if (!release) return;
    release = null;
    onLost();
  }

  channel.onmessage = async ({ data }) => {
    if (!writer.held) return;
    if (data === 'token?') channel.postMessage({ token });
    if (data !== 'yield') return;
    await onYield();
    release?.();
    lose();
  };
  return writer;
}

/** The lock of an exam that some tab of this browser is writing, if any. */
export async function writerLock() {
  const { held } = await navigator.locks.query();
  return held.find(({ name }) => name.startsWith(PREFIX));
}

/** The token of an exam that another tab of this browser is writing, or null. */
export async function tokenOfOtherTab() {
  const lock = await writerLock();
  if (!lock) return null;
  const channel = new BroadcastChannel(lock.name);
  try {
    return await new Promise((resolve) => {
      channel.onmessage = ({ data }) => data.token && resolve(data.token);
      channel.postMessage('token?');
      setTimeout(resolve, 1_000, null);
    });
  } finally {
    channel.close();
  }
}
