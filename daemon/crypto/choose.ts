/**
 * Which AES-256-GCM the daemon uses: the fastest that gives right answers on this machine.
 *
 * @module
 */

import {
  type Aead,
  AEAD_NONCE_BYTES,
  AEAD_TAG_BYTES,
  type AeadFactory,
} from "../../protocol/crypto/aead.ts";
import { nobleAead } from "../../protocol/crypto/aead_noble.ts";
import { wasmAead } from "../../protocol/crypto/aead_wasm.ts";
import { nodeAead } from "../../protocol/crypto/aead_node.ts";
import { equalBytes } from "../../protocol/crypto/mod.ts";
import { PilotError } from "../../protocol/errors.ts";
import { getLogger, LOG_CATEGORY } from "../../platform/log.ts";
import type { AeadKind } from "../../platform/settings/mod.ts";
import { loadLibcryptoAead } from "./aead_libcrypto.ts";

/** The choice. */
export interface ChosenAead {
  /** Name shown by `info`. */
  readonly name: string;
  /** Makes an AEAD. */
  readonly factory: AeadFactory;
  /** Gives back what the implementation holds; all AEADs must be destroyed before. */
  close(): void;
}

/** Time for measuring one implementation, milliseconds: the daemon is to start fast. */
const MEASURE_MS = 1;
/** Packets of one run: enough for the clock's resolution. */
const RUN_PACKETS = 4;
/** Runs at least, however slow the machine is just then. */
const MIN_RUNS = 5;
/** Packet that is measured: a full default segment with its header. */
const PACKET_BYTES = 1186;

// Test case 14 of the GCM specification (all zeros) without its length: ciphertext and tag.
const EXPECTED = Uint8Array.fromHex(
  "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
);

/** Packets of {@linkcode PACKET_BYTES} zeros sealed after that, with the counters 1 and up. */
const CHECKED_PACKETS = 8;
/** Tag of the last of them, the same by OpenSSL and by `@noble/ciphers`. */
const LAST_TAG = Uint8Array.fromHex("fea189b97495cc657a71f91a687292d0");
const NO_AAD = new Uint8Array(0);

type Load = () => { factory: AeadFactory; close: () => void };

const NOTHING = (): void => {};
const LOADERS: Readonly<Record<Exclude<AeadKind, "auto">, Load>> = {
  libcrypto: loadPermitted,
  wasm: () => ({ factory: wasmAead, close: NOTHING }),
  node: () => ({ factory: nodeAead, close: NOTHING }),
  noble: () => ({ factory: nobleAead, close: NOTHING }),
};

/**
 * Chooses an implementation.
 *
 * @param kind A certain one, or "auto" for the fastest.
 * @returns The choice.
 * @throws {PilotError} `unavailable` when the one asked for, or every one, does not work here.
 */
export function chooseAead(kind: AeadKind = "auto"): ChosenAead {
  const kinds = kind === "auto" ? ["libcrypto", "wasm", "node", "noble"] as const : [kind];
  let best: ChosenAead | undefined;
  let bestMs = Infinity;
  const problems: string[] = [];
  for (const candidate of kinds) {
    // AES in JavaScript is never faster than native code here, and its first use alone takes 10 ms.
    if (candidate === "noble" && best !== undefined) break;
    let unused: { close(): void } | undefined;
    try {
      const loaded = LOADERS[candidate]();
      unused = loaded;
      const { name, ms } = tryOut(loaded.factory, kinds.length > 1);
      if (ms < bestMs) {
        unused = best;
        best = { ...loaded, name };
        bestMs = ms;
      }
    } catch (error) {
      problems.push(`${candidate}: ${error instanceof Error ? error.message : error}`);
    }
    unused?.close();
  }
  if (best === undefined) {
    throw new PilotError("unavailable", `No AES-256-GCM works here (${problems.join("; ")})`, {
      advice: { id: "leave_out", setting: "aead" },
    });
  }
  if (problems.length > 0) {
    const reason = problems.join("; ");
    getLogger([LOG_CATEGORY, "crypto"]).info("slower AES-256-GCM in use", {
      aead: best.name,
      reason,
    });
  }
  return best;
}

function loadPermitted(): ReturnType<Load> {
  if (Deno.build.os !== "linux") throw new Error(`the system is ${Deno.build.os}`);
  // Asked first, as loading without the permission would ask the person at the terminal.
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") {
    throw new Error("FFI is not permitted (--allow-ffi)");
  }
  return loadLibcryptoAead();
}

/** Name, and milliseconds to seal a packet (0 when not measured); throws when the results are wrong. */
function tryOut(factory: AeadFactory, isMeasured: boolean): { name: string; ms: number } {
  const aead = factory(new Uint8Array(32));
  try {
    checkAnswers(aead);
    return { name: aead.name, ms: isMeasured ? measure(aead) : 0 };
  } finally {
    aead.destroy();
  }
}

function checkAnswers(aead: Aead): void {
  const nonce = new Uint8Array(AEAD_NONCE_BYTES);
  const buf = new Uint8Array(PACKET_BYTES + AEAD_TAG_BYTES);
  aead.seal(nonce, NO_AAD, buf, 0, 16);
  const sealed = buf.slice(0, EXPECTED.length);
  const forged = sealed.slice();
  forged[0]! ^= 1;
  const isRight = equalBytes(sealed, EXPECTED) &&
    !aead.open(nonce, NO_AAD, forged, 0, forged.length) &&
    aead.open(nonce, NO_AAD, sealed, 0, sealed.length) && sealed[0] === 0;
  // What works ahead, or on several blocks at a time, shows in a sequence of whole packets only.
  for (let counter = 1; counter <= CHECKED_PACKETS; counter++) {
    nonce[AEAD_NONCE_BYTES - 1] = counter;
    buf.fill(0);
    aead.seal(nonce, NO_AAD, buf, 0, PACKET_BYTES);
  }
  if (!isRight || !equalBytes(buf.subarray(PACKET_BYTES), LAST_TAG)) {
    throw new Error("wrong results");
  }
}

function measure(aead: Aead): number {
  const nonce = new Uint8Array(AEAD_NONCE_BYTES);
  const buf = new Uint8Array(PACKET_BYTES + AEAD_TAG_BYTES);
  const view = new DataView(nonce.buffer);
  let counter = CHECKED_PACKETS;
  const end = performance.now() + MEASURE_MS;
  let best = Infinity;
  // The best of many short runs: whatever else the machine does spoils some of them, not all.
  for (let runs = 0, now = 0; runs < MIN_RUNS || now < end; runs++) {
    const start = performance.now();
    for (let i = 0; i < RUN_PACKETS; i++) {
      // As a session counts: no nonce may come twice.
      view.setUint32(AEAD_NONCE_BYTES - 4, ++counter);
      aead.seal(nonce, NO_AAD, buf, 0, PACKET_BYTES);
    }
    now = performance.now();
    best = Math.min(best, now - start);
  }
  return best / RUN_PACKETS;
}
