import { nobleAead } from "../../../protocol/crypto/aead_noble.ts";
import { nodeAead } from "../../../protocol/crypto/aead_node.ts";
import { wasmAead } from "../../../protocol/crypto/aead_wasm.ts";
import { testAead } from "./aead_suite.ts";

testAead("nodeAead", nodeAead);
testAead("nobleAead", nobleAead);
testAead("wasmAead", wasmAead);
