import { STATUS_CODES } from 'node:http';
import type { FastifyReply } from 'fastify';
import { failureStatuses } from '#lib/protocol';
import type { ErrorFormat } from './failure.filter.ts';

/** Text that can stand in HTML, between tags or in a quoted attribute. */
export const escapeHtml = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => `&#${character.codePointAt(0) ?? 0};`);

/** No script, no picture and no frame; forms may only be sent back to this server. */
export const PAGE_POLICY =
  "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/**
 * A page without script, in the style of the web pages.
 *
 * @param title - plain text
 * @param body - HTML, in which the caller escaped whatever is not ours
 */
export const page = (title: string, body: string): string =>
  [
    '<!doctype html>',
    '<html lang="en"><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width">',
    `<title>${escapeHtml(title)}</title>`,
    '<link rel="stylesheet" href="/style.css">',
    '<header><a class="mark" href="/">Lockstep</a></header>',
    `<main><h1>${escapeHtml(title)}</h1>`,
    body,
    '</main></html>\n',
  ].join('\n');

const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': PAGE_POLICY,
  'cache-control': 'no-store',
};

/** A page that says what went wrong, where a browser asked for a page. */
export const pageError: ErrorFormat = (failure) => {
  const status = failure ? failureStatuses[failure.code] : 500;
  const why = failure ? `<p>${escapeHtml(failure.message)}</p>` : '';
  return {
    status,
    contentType: pageHeaders['content-type'],
    body: page(STATUS_CODES[status] ?? 'Error', why),
    headers: pageHeaders,
  };
};

/** Sends a page, never kept by a cache and never shown in a frame. */
export function sendPage(reply: FastifyReply, html: string, status = 200): void {
  void reply.status(status).headers(pageHeaders).send(html);
}
