/**
 * All requests that are served, by type. Everything else is answered like an unknown type.
 *
 * @module
 */

import type { Served } from "../handler.ts";
import { BEACON_REQUESTS } from "./beacon_requests.ts";
import { DIRECTORY_REQUESTS } from "./directory_requests.ts";
import { IDENTITY_REQUESTS } from "./identity_requests.ts";
import { KEY_REQUESTS } from "./key_requests.ts";
import { CREATE_REQUESTS } from "./networks/create_requests.ts";
import { INVITE_REQUESTS } from "./networks/invite_requests.ts";
import { JOIN_REQUESTS } from "./networks/join_requests.ts";
import { LIST_REQUESTS } from "./networks/list_requests.ts";
import { MANAGE_REQUESTS } from "./networks/manage_requests.ts";
import { MEMBER_REQUESTS } from "./networks/member_requests.ts";
import { POLICY_REQUESTS } from "./networks/policy_requests.ts";
import { POLO_REQUESTS } from "./polo.ts";
import { TRUST_REQUESTS } from "./trust_requests.ts";

/** What is served, by the `type` of the request. */
export const SERVED: ReadonlyMap<string, Served> = new Map(
  [
    ...IDENTITY_REQUESTS,
    ...KEY_REQUESTS,
    ...DIRECTORY_REQUESTS,
    ...POLO_REQUESTS,
    ...TRUST_REQUESTS,
    ...LIST_REQUESTS,
    ...CREATE_REQUESTS,
    ...JOIN_REQUESTS,
    ...MANAGE_REQUESTS,
    ...INVITE_REQUESTS,
    ...MEMBER_REQUESTS,
    ...POLICY_REQUESTS,
    ...BEACON_REQUESTS,
  ].map((served) => [served.type, served]),
);
