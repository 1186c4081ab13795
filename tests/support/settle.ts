/**
 * Waiting for asynchronous work to come to rest, without the wall clock: WebCrypto operations are counted, so
 * quiescence is known and not guessed.
 *
 * @module
 */

const inFlight = new Set<Promise<unknown>>();
/** Turns of the event loop in a row without work after which nothing more is going to happen. */
const QUIET_TURNS = 3;

type Operation = (...args: unknown[]) => Promise<unknown>;

const subtle = SubtleCrypto.prototype as unknown as Record<string, Operation>;
for (
  const name of [
    "deriveBits",
    "deriveKey",
    "digest",
    "exportKey",
    "generateKey",
    "importKey",
    "sign",
    "verify",
  ]
) {
  const original = subtle[name]!;
  subtle[name] = function (this: unknown, ...args: unknown[]) {
    return watch(original.apply(this, args));
  };
}

/** Makes {@linkcode settle} wait for a promise of something outside, such as a crypto operation. */
export function watch<T>(promise: Promise<T>): Promise<T> {
  const done = promise.then(() => {}, () => {}).then(() => void inFlight.delete(done));
  inFlight.add(done);
  return promise;
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Resolves when no promise moves any more without time passing. */
export async function settle(): Promise<void> {
  for (let quiet = 0; quiet < QUIET_TURNS; quiet++) {
    if (inFlight.size > 0) {
      quiet = -1;
      await Promise.all(inFlight);
    }
    await turn();
  }
}
