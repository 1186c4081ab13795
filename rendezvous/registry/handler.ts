/**
 * The shape of a request handler.
 *
 * @module
 */

import {
  type ReadFields,
  readFields,
  type RegistryRequest,
} from "../../protocol/registry/request_schema.ts";
import type { RequestContext } from "./context.ts";

/** One type of request and what answers it: the reply without its `type`, or a thrown `RegistryFailure`. */
export interface Served {
  readonly type: string;
  readonly answer: (context: RequestContext) => object | Promise<object>;
}

/**
 * Serves a request.
 *
 * @param request What it is.
 * @param answer Answers it, given its fields.
 * @returns Both together.
 */
export function serve<F extends object, R extends object>(
  request: RegistryRequest<F, R>,
  answer: (context: RequestContext, fields: ReadFields<F>) => R | Promise<R>,
): Served {
  return {
    type: request.type,
    answer: (context) => answer(context, readFields(request, context.request)),
  };
}
