import { Module } from '@nestjs/common';
import { AccountsModule } from '../accounts/accounts.module.ts';
import { PagesController } from './pages.controller.ts';

@Module({ imports: [AccountsModule], controllers: [PagesController] })
export class PagesModule {}
