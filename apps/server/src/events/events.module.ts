import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DeletionModule } from '../deletion/deletion.module.ts';
import { SecurityEventEntity } from './security-event.entity.ts';
import { EventsService } from './events.service.ts';

/** What happened to accounts. */
@Module({
  imports: [DeletionModule, TypeOrmModule.forFeature([SecurityEventEntity])],
  providers: [EventsService],
  exports: [EventsService],
})
export class EventsModule {}
