import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { Failure } from '#lib/protocol';
import { isCollection, isId } from './bso.ts';
import type { StorageRequest } from './raw-requests.ts';

const parameter = (name: string, isValid: (text: string) => boolean) =>
  createParamDecorator((_: unknown, context: ExecutionContext) => {
    const { params } = context.switchToHttp().getRequest<StorageRequest>();
    const text = (params as Partial<Record<string, string>>)[name] ?? '';
    if (!isValid(text)) throw new Failure('not-found', `No ${name} can have that name.`);
    return text;
  });

/** The collection of the path. No collection can have another name, so there is nothing there. */
export const CollectionName = parameter('collection', isCollection);

/** The record's id of the path. */
export const RecordId = parameter('id', isId);
