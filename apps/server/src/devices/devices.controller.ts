import { Body, Controller, Get, HttpCode, Post, Query, UseGuards } from '@nestjs/common';
import {
  CommandIndex,
  CommandLimit,
  DestroyDevice,
  type Device,
  type DeviceCommands,
  IdleSince,
  InvokeCommand,
  type Invoked,
  NotifyDevices,
  PutDevice,
  RenameDevice,
} from '#lib/protocol';
import { From, type Visitor } from '../platform/visitor.ts';
import { DeviceCommandsService } from './device-commands.service.ts';
import { DeviceGuard, Holder, VerifiedHolderGuard } from './device.guard.ts';
import { DevicesService } from './devices.service.ts';

/** Devices, and commands between them: docs/protocol/devices.md */
@Controller('auth/v1/account')
@UseGuards(DeviceGuard)
export class DevicesController {
  constructor(
    private readonly devices: DevicesService,
    private readonly commands: DeviceCommandsService,
  ) {}

  @Post('device')
  @HttpCode(200)
  put(
    @Holder() holder: Holder,
    @Body({ schema: PutDevice }) asked: PutDevice,
    @From() from: Visitor,
  ): Promise<Device> {
    return this.devices.put(holder, asked, from);
  }

  @Get('devices')
  list(
    @Holder() holder: Holder,
    @Query('filterIdleDevicesTimestamp', { schema: IdleSince }) idleSince: IdleSince,
  ): Promise<Device[]> {
    return this.devices.list(holder, idleSince);
  }

  @Post('device/rename')
  @HttpCode(200)
  async rename(
    @Holder() { uid }: Holder,
    @Body({ schema: RenameDevice }) asked: RenameDevice,
  ): Promise<Record<string, never>> {
    await this.devices.rename(uid, asked);
    return {};
  }

  @Post('device/destroy')
  @HttpCode(200)
  async destroy(
    @Holder() { uid }: Holder,
    @Body({ schema: DestroyDevice }) { id }: DestroyDevice,
    @From() from: Visitor,
  ): Promise<Record<string, never>> {
    await this.devices.destroy(uid, id, from);
    return {};
  }

  @Get('device/commands')
  listCommands(
    @Holder() holder: Holder,
    @Query('index', { schema: CommandIndex }) index: CommandIndex,
    @Query('limit', { schema: CommandLimit }) limit: CommandLimit,
  ): Promise<DeviceCommands> {
    return this.commands.list(holder, index, limit);
  }

  @Post('devices/invoke_command')
  @HttpCode(200)
  @UseGuards(VerifiedHolderGuard)
  invoke(
    @Holder() holder: Holder,
    @Body({ schema: InvokeCommand }) asked: InvokeCommand,
  ): Promise<Invoked> {
    return this.commands.invoke(holder, asked);
  }

  @Post('devices/notify')
  @HttpCode(200)
  @UseGuards(VerifiedHolderGuard)
  async notify(
    @Holder() holder: Holder,
    @Body({ schema: NotifyDevices }) asked: NotifyDevices,
  ): Promise<Record<string, never>> {
    await this.commands.notify(holder, asked);
    return {};
  }
}
