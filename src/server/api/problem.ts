import { codeForPeers, EntremiseError, type ErrorCode } from '../../base/errors.ts';
import { reasonOf, TunnelError } from '../../terminal/index.ts';

/** What a failed request answers (RFC 9457), media type `application/problem+json`. */
export interface Problem {
  /** `urn:entremise:` and the catalogue's code (docs/protocol.md §9), or `about:blank` with plain HTTP failures. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** Who refused: grant, owner, server, mediator, terminal (here: this API). */
  readonly by?: string;
}

const statuses: Partial<Record<ErrorCode, number>> = {
  'bad-request': 400,
  'bad-usage': 400,
  'not-permitted': 403,
  'consent-required': 403,
  'grant-missing': 403,
  'grant-expired': 403,
  'grant-invalid': 403,
  'grant-revoked': 403,
  'no-such-port': 404,
  'no-such-mediator': 404,
  'wrong-state': 409,
  'port-in-use': 409,
  'address-in-use': 409,
  'in-use': 409,
  'name-taken': 409,
  // Who may say what has changed since it was signed.
  'document-invalid': 409,
  'code-invalid': 409,
  'address-not-available': 422,
  limit: 429,
  unsupported: 501,
  refused: 502,
  unreachable: 502,
  'no-such-name': 502,
  'audit-unavailable': 503,
  'mediator-offline': 503,
  'server-unreachable': 503,
  'link-lost': 503,
  'timed-out': 504,
};

/** What went wrong as a problem, whatever was thrown. Unexpected failures, and those of this machine, say no more than that. */
export function problemOf(thrown: unknown): Problem {
  if (thrown instanceof ApiFailure) return thrown.problem;
  if (!(thrown instanceof TunnelError || thrown instanceof EntremiseError)) return httpProblem(thrown);
  const code = reasonOf(thrown);
  const { message: detail, by } = thrown;
  const status = statuses[code] ?? 500;
  if (status === 500 && codeForPeers(code) !== code) return httpProblem(thrown);
  const problem = { type: `urn:entremise:${code}`, title: new EntremiseError(code).message, status, detail };
  return by === undefined ? problem : { ...problem, by };
}

/** What Fastify says of a request that it does not take: bad JSON, a field that is wrong, too long a body. */
function httpProblem(thrown: unknown): Problem {
  const { statusCode, message } = thrown as { statusCode?: number; message?: string };
  const isClients = statusCode !== undefined && statusCode >= 400 && statusCode < 500;
  const status = isClients ? statusCode : 500;
  const detail = isClients && message !== undefined ? message : 'The log of the server has the cause.';
  return plainProblem(status, detail);
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
};

function plainProblem(status: number, detail: string): Problem {
  return { type: 'about:blank', title: titles[status] ?? 'Refused', status, detail };
}

/** A failure that is HTTP's own. */
export class ApiFailure extends Error {
  override readonly name = 'ApiFailure';
  readonly problem: Problem;

  constructor(status: number, detail: string) {
    super(detail);
    this.problem = plainProblem(status, detail);
  }
}
