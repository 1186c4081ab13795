/**
 * What is known of one type of request: its fields, its reply, who may send it, and what it refuses.
 *
 * @module
 */

import type { TestNode } from "../support/client.ts";
import type { World } from "./world.ts";

/** Fields of a request or a reply. */
export type Fields = Record<string | symbol, unknown>;

/** Who may send a request (docs/protocol/registry.md §2). */
export type Auth =
  /** Anybody. */
  | { readonly kind: "none" }
  /** A node that signs a text; sometimes the admin token does instead. */
  | {
    readonly kind: "node";
    readonly by: (world: World) => TestNode;
    readonly challenge: (world: World) => Uint8Array;
    readonly isAdminEnough?: boolean | "lax";
    /** A lax server asks nobody to sign this: existing clients cannot. A strict one wants the whole request signed. */
    readonly isOpenWhenLax?: boolean;
  }
  /** A member with a role, who signs in strict mode, or the holder of a token. */
  | { readonly kind: "role"; readonly challenge: (world: World, node: number) => Uint8Array }
  /** A member of the invite-only network or the holder of a token; of a lax server anybody. */
  | { readonly kind: "member" }
  /** The holder of the global admin token. */
  | { readonly kind: "admin" };

/** A request that is refused although whoever sends it may send such requests. */
export interface Refusal {
  readonly what: string;
  /** Fields that differ from those of the good request; undefined takes a field away. */
  readonly fields: (world: World) => Fields;
  /** What is signed then, when it differs. */
  readonly challenge?: (world: World) => Uint8Array;
  /** Text of the error. */
  readonly error: string | ((world: World) => string);
  /** Only in this kind of server. */
  readonly strict?: boolean;
}

/** A type of request. */
export interface Subject {
  readonly type: string;
  readonly auth: Auth;
  /** Done before anything of this subject. */
  readonly before?: (world: World) => Promise<void>;
  readonly fields: (world: World) => Fields;
  /** The whole reply but its type. */
  readonly reply: (world: World) => Fields;
  readonly refusals?: readonly Refusal[];
}

/** What JSON clients see of what is not for them (docs/protocol/registry.md §3). */
export const MASKED = "request failed";
/** A number that no node has. */
export const NOBODY = 999_999;
