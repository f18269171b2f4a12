import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DeliveryService } from './delivery.service.ts';
import { MailEntity } from './mail.entity.ts';
import { MailerService } from './mailer.service.ts';

/** What the server tells people by mail. */
@Module({
  imports: [TypeOrmModule.forFeature([MailEntity])],
  providers: [DeliveryService, MailerService],
  exports: [MailerService],
})
export class MailModule {}
