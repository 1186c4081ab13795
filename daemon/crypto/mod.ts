/**
 * Cryptography that needs the system: AES-256-GCM by libcrypto, and the choice among all forms.
 *
 * @module
 */

export { type LibcryptoAead, loadLibcryptoAead } from "./aead_libcrypto.ts";
export { chooseAead, type ChosenAead } from "./choose.ts";
