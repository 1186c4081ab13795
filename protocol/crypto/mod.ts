/**
 * Keys, signatures, AES-256-GCM, nonces and replay windows (docs/protocol/tunnel.md §4.1 to §5.3, §7).
 *
 * @module
 */

export * from "./aead.ts";
export * from "./aead_noble.ts";
export * from "./aead_node.ts";
export * from "./aead_wasm.ts";
export * from "./base64.ts";
export * from "./hkdf.ts";
export * from "./identity.ts";
export * from "./key_agreement.ts";
export * from "./nonce.ts";
export * from "./replay.ts";
export * from "./verify_signature.ts";
