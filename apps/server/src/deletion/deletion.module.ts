import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DeletionEntity } from './deletion.entity.ts';
import { DeletionsService } from './deletions.service.ts';

/** What becomes of the rest, when an account is deleted. */
@Module({
  imports: [TypeOrmModule.forFeature([DeletionEntity])],
  providers: [DeletionsService],
  exports: [DeletionsService],
})
export class DeletionModule {}
