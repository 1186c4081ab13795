/**
 * Which AES-256-GCM the daemon uses: the fastest that gives right answers on this machine.
 *
 * @module
 */

import { AEAD_NONCE_BYTES, AEAD_TAG_BYTES, type AeadFactory } from "../../protocol/crypto/aead.ts";
import { nobleAead } from "../../protocol/crypto/aead_noble.ts";
import { wasmAead } from "../../protocol/crypto/aead_wasm.ts";
import { nodeAead } from "../../protocol/crypto/aead_node.ts";
import { equalBytes } from "../../protocol/crypto/mod.ts";
import { PilotError } from "../../protocol/errors.ts";
import { getLogger, LOG_CATEGORY } from "../../platform/log.ts";
import type { AeadKind } from "../../platform/settings.ts";
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
    try {
      const loaded = LOADERS[candidate]();
      const ms = tryOut(loaded.factory, kinds.length > 1);
      if (ms === undefined) {
        loaded.close();
        problems.push(`${candidate}: wrong results`);
      } else if (ms < bestMs) {
        best?.close();
        best = { ...loaded, name: nameOf(loaded.factory) };
        bestMs = ms;
      } else {
        loaded.close();
      }
    } catch (error) {
      problems.push(`${candidate}: ${error instanceof Error ? error.message : error}`);
    }
  }
  if (best === undefined) {
    throw new PilotError("unavailable", `No AES-256-GCM works here (${problems.join("; ")})`, {
      hint: "Leave --aead out to have the fastest that works.",
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

/** Milliseconds to seal a packet (0 when not measured); undefined when the results are wrong. */
function tryOut(factory: AeadFactory, isMeasured: boolean): number | undefined {
  const aead = factory(new Uint8Array(32));
  try {
    const nonce = new Uint8Array(AEAD_NONCE_BYTES);
    const aad = new Uint8Array(0);
    const buf = new Uint8Array(PACKET_BYTES + AEAD_TAG_BYTES);
    aead.seal(nonce, aad, buf, 0, 16);
    const sealed = buf.subarray(0, EXPECTED.length);
    if (!equalBytes(sealed, EXPECTED)) return undefined;
    const forged = sealed.slice();
    forged[0]! ^= 1;
    if (aead.open(nonce, aad, forged, 0, forged.length)) return undefined;
    if (!aead.open(nonce, aad, sealed, 0, sealed.length) || sealed[0] !== 0) return undefined;
    if (!isMeasured) return 0;
    const counter = new DataView(nonce.buffer);
    const end = performance.now() + MEASURE_MS;
    let best = Infinity;
    // The best of many short runs: whatever else the machine does spoils some of them, not all.
    for (let runs = 0, now = 0; runs < MIN_RUNS || now < end; runs++) {
      const start = performance.now();
      for (let i = 0; i < RUN_PACKETS; i++) {
        // As a session counts: 0 was for the known answer, and no nonce may come twice.
        counter.setUint32(AEAD_NONCE_BYTES - 4, runs * RUN_PACKETS + i + 1);
        aead.seal(nonce, aad, buf, 0, PACKET_BYTES);
      }
      now = performance.now();
      best = Math.min(best, now - start);
    }
    return best / RUN_PACKETS;
  } finally {
    aead.destroy();
  }
}

function nameOf(factory: AeadFactory): string {
  const aead = factory(new Uint8Array(32));
  aead.destroy();
  return aead.name;
}
