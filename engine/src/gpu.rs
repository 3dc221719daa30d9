//! Devices: the adapters there are, and one of them opened: stages, buffers, dispatches, reads.
//!
//! Everything goes through wgpu, to Vulkan, Metal or Direct3D 12, whose libraries are looked for when the first adapter is
//! asked for; without any there is no adapter. What a device refuses, lacks room for or loses is a [`GpuError`], never a panic:
//! the caller goes on with the processor. A software adapter runs shaders on the processor; it is for tests, slower than
//! the code it would replace, and taken only where it is allowed by name.
//!
//! Words on a device are u32, little-endian. A dispatch has one axis here; above what a device takes of groups along one
//! (65,535 is what all take) it becomes two, and a shader's group is `group.x + group.y * groups.x`, whose surplus it drops.

use bytemuck::{cast_slice, cast_slice_mut};
use manaflow_shaders::{Access, Stage};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

/// How long a device may take for what it was given. Watchdogs of drivers bark earlier.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why a device did not do something.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GpuError {
    /// There is none that is allowed.
    #[error("no adapter{}", if *.software > 0 { " but in software" } else { "" })]
    NoAdapter {
        /// Adapters in software, which were not allowed.
        software: usize,
    },
    /// It does not open, or refuses a shader, a buffer or a command.
    #[error("{adapter}: refused: {reason}")]
    Refused {
        /// The adapter.
        adapter: String,
        /// What it said.
        reason: String,
    },
    /// It is gone: unplugged, reset, or destroyed.
    #[error("{adapter}: lost: {reason}")]
    Lost {
        /// The adapter.
        adapter: String,
        /// What was said.
        reason: String,
    },
    /// Its memory does not suffice.
    #[error("{adapter}: out of memory: {reason}")]
    OutOfMemory {
        /// The adapter.
        adapter: String,
        /// What it said.
        reason: String,
    },
    /// More than it takes at once.
    #[error("{adapter}: {what}: {asked}, at most {limit}")]
    TooLarge {
        /// The adapter.
        adapter: String,
        /// Of what.
        what: &'static str,
        /// As much was asked for.
        asked: u64,
        /// As much there may be.
        limit: u64,
    },
}

/// What an adapter is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// The processor itself.
    Software,
    /// Unknown.
    Other,
    /// A part of a device, in a virtual machine.
    Virtual,
    /// Shares its memory with the processor.
    Integrated,
    /// Has its own memory.
    Discrete,
}

/// What a device takes at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of a buffer as a stage sees it.
    pub binding_bytes: u64,
    /// Bytes of a buffer.
    pub buffer_bytes: u64,
    /// Workgroups along one axis.
    pub groups: u32,
    /// Invocations of a workgroup.
    pub invocations: u32,
    /// Bytes that a workgroup shares.
    pub workgroup_bytes: u32,
}

impl Limits {
    /// What every adapter takes.
    pub const PORTABLE: Self = Self {
        binding_bytes: 128 << 20,
        buffer_bytes: 256 << 20,
        groups: 65_535,
        invocations: 256,
        workgroup_bytes: 16_384,
    };
    /// No limit but the adapter's.
    pub const ANY: Self = Self {
        binding_bytes: u64::MAX,
        buffer_bytes: u64::MAX,
        groups: u32::MAX,
        invocations: u32::MAX,
        workgroup_bytes: u32::MAX,
    };

    fn of(limits: &wgpu::Limits) -> Self {
        Self {
            binding_bytes: limits.max_storage_buffer_binding_size,
            buffer_bytes: limits.max_buffer_size,
            groups: limits.max_compute_workgroups_per_dimension,
            invocations: limits.max_compute_invocations_per_workgroup,
            workgroup_bytes: limits.max_compute_workgroup_storage_size,
        }
    }

    fn at_most(self, other: Self) -> Self {
        Self {
            binding_bytes: self.binding_bytes.min(other.binding_bytes),
            buffer_bytes: self.buffer_bytes.min(other.buffer_bytes),
            groups: self.groups.min(other.groups),
            invocations: self.invocations.min(other.invocations),
            workgroup_bytes: self.workgroup_bytes.min(other.workgroup_bytes),
        }
    }

    /// Words of the largest buffer that a stage can see.
    pub fn words(&self) -> usize {
        usize::try_from(self.binding_bytes.min(self.buffer_bytes) / 4).unwrap_or(usize::MAX)
    }
}

/// An adapter, as it describes itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adapter {
    /// Its name.
    pub name: String,
    /// Its driver, with its version.
    pub driver: String,
    /// Vulkan, Metal or Direct3D 12.
    pub interface: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it takes at once.
    pub limits: Limits,
    /// Whether shaders may compute with integers of 64 bits.
    pub has_u64: bool,
    /// Whether shaders may use subgroups.
    pub has_subgroups: bool,
}

impl Adapter {
    fn of(adapter: &wgpu::Adapter) -> Self {
        let (info, features) = (adapter.get_info(), adapter.features());
        Self {
            name: info.name,
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            interface: match info.backend {
                wgpu::Backend::Vulkan => "Vulkan",
                wgpu::Backend::Metal => "Metal",
                wgpu::Backend::Dx12 => "Direct3D 12",
                _ => "other",
            },
            kind: match info.device_type {
                wgpu::DeviceType::DiscreteGpu => Kind::Discrete,
                wgpu::DeviceType::IntegratedGpu => Kind::Integrated,
                wgpu::DeviceType::VirtualGpu => Kind::Virtual,
                wgpu::DeviceType::Cpu => Kind::Software,
                wgpu::DeviceType::Other => Kind::Other,
            },
            limits: Limits::of(&adapter.limits()),
            has_u64: features.contains(wgpu::Features::SHADER_INT64),
            has_subgroups: features.contains(wgpu::Features::SUBGROUP),
        }
    }

    /// Whether it is the processor that does the work.
    pub fn is_software(&self) -> bool {
        self.kind == Kind::Software
    }
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.name, self.driver, self.interface)?;
        if self.is_software() { f.write_str(", in software") } else { Ok(()) }
    }
}

fn found() -> Vec<wgpu::Adapter> {
    let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    let descriptor = wgpu::InstanceDescriptor { backends, ..wgpu::InstanceDescriptor::new_without_display_handle() };
    let mut found = pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(backends));
    // Stable: of equal ones the first that the system names.
    found.sort_by_key(|adapter| std::cmp::Reverse(Adapter::of(adapter).kind));
    found
}

/// All adapters of this machine, the one to prefer first and those in software last.
pub fn adapters() -> Vec<Adapter> {
    found().iter().map(Adapter::of).collect()
}

/// How to open a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setup {
    /// Whether an adapter in software will do where there is no other.
    pub allows_software: bool,
    /// Whether shaders keep the checks that wgpu puts in: bounds of buffers, an end to every loop. Without them an index out
    /// of bounds is undefined behaviour; every stage is tested with them and without.
    pub is_checked: bool,
    /// Whether integers of 64 bits are used where the adapter has them.
    pub uses_u64: bool,
    /// Not more than this at once, nor than the adapter takes.
    pub limits: Limits,
}

impl Default for Setup {
    fn default() -> Self {
        Self { allows_software: false, is_checked: true, uses_u64: true, limits: Limits::ANY }
    }
}

/// The device that the process shares, in software if there is no other; opened by the first who asks.
pub fn shared() -> Result<&'static Gpu, GpuError> {
    static SHARED: OnceLock<Result<Gpu, GpuError>> = OnceLock::new();
    let opened = SHARED.get_or_init(|| Gpu::open(&Setup { allows_software: true, ..Setup::default() }));
    opened.as_ref().map_err(Clone::clone)
}

/// An open device.
#[derive(Debug)]
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    adapter: Adapter,
    setup: Setup,
    fault: Fault,
}

/// What went wrong last and nobody has been told yet; a loss stays.
#[derive(Clone, Default, Debug)]
struct Fault(Arc<Mutex<Option<GpuError>>>);

impl Fault {
    fn note(&self, error: GpuError) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The first says most, but nothing says more than a loss.
        if slot.is_none() || matches!(error, GpuError::Lost { .. }) {
            *slot = Some(error);
        }
    }

    fn check(&self) -> Result<(), GpuError> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*slot {
            None => Ok(()),
            Some(lost @ GpuError::Lost { .. }) => Err(lost.clone()),
            Some(_) => slot.take().map_or(Ok(()), Err),
        }
    }
}

/// A stage, compiled.
#[derive(Debug)]
pub struct Pipeline {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    stage: &'static Stage,
}

impl Pipeline {
    /// Invocations of a group.
    pub fn group(&self) -> u32 {
        self.stage.workgroup_size
    }
}

/// Words on a device.
#[derive(Debug)]
pub struct Buffer {
    buffer: wgpu::Buffer,
}

impl Buffer {
    /// Its length in words.
    pub fn words(&self) -> usize {
        (self.buffer.size() / 4) as usize
    }
}

impl Gpu {
    /// Opens the adapter to prefer.
    pub fn open(setup: &Setup) -> Result<Self, GpuError> {
        let found = found();
        let allowed = |adapter: &&wgpu::Adapter| setup.allows_software || !Adapter::of(adapter).is_software();
        let Some(chosen) = found.iter().find(allowed) else {
            return Err(GpuError::NoAdapter { software: found.len() });
        };
        let adapter = Adapter::of(chosen);
        let name = adapter.name.clone();
        let features = match setup.uses_u64 && adapter.has_u64 {
            true => wgpu::Features::SHADER_INT64,
            false => wgpu::Features::empty(),
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("manaflow"),
            required_features: features,
            required_limits: chosen.limits(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = pollster::block_on(chosen.request_device(&descriptor))
            .map_err(|e| GpuError::Refused { adapter: name.clone(), reason: e.to_string() })?;
        let fault = Fault::default();
        let (at_error, of) = (fault.clone(), name.clone());
        device.on_uncaptured_error(Arc::new(move |error| {
            let (adapter, reason) = (of.clone(), error.to_string());
            at_error.note(match error {
                wgpu::Error::OutOfMemory { .. } => GpuError::OutOfMemory { adapter, reason },
                _ => GpuError::Refused { adapter, reason },
            });
        }));
        let (at_loss, of) = (fault.clone(), name);
        device.set_device_lost_callback(move |why, reason| {
            at_loss.note(GpuError::Lost { adapter: of.clone(), reason: format!("{why:?}: {reason}") });
        });
        let setup = Setup { limits: adapter.limits.at_most(setup.limits), ..*setup };
        Ok(Self { device, queue, adapter, setup, fault })
    }

    /// What was opened.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// What may be asked for at once.
    pub fn limits(&self) -> &Limits {
        &self.setup.limits
    }

    /// Whether shaders keep the checks that wgpu puts in.
    pub fn is_checked(&self) -> bool {
        self.setup.is_checked
    }

    /// Whether shaders may compute with integers of 64 bits.
    pub fn has_u64(&self) -> bool {
        self.device.features().contains(wgpu::Features::SHADER_INT64)
    }

    /// Gives the device back at once, as if it were lost.
    pub fn destroy(&self) {
        self.device.destroy();
        // The loss is told when the device is next asked.
        let _ = self.device.poll(wgpu::PollType::Poll);
    }

    /// Whether what is asked for is within a limit.
    pub(crate) fn bounded(&self, what: &'static str, asked: u64, limit: u64) -> Result<(), GpuError> {
        match asked <= limit {
            true => Ok(()),
            false => Err(GpuError::TooLarge { adapter: self.adapter.name.clone(), what, asked, limit }),
        }
    }

    /// Compiles a stage. Drivers may put most of that off until it first runs.
    pub fn pipeline(&self, stage: &'static Stage) -> Result<Pipeline, GpuError> {
        self.bounded("invocations of a group", stage.workgroup_size.into(), self.limits().invocations.into())?;
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(stage.name),
            source: wgpu::ShaderSource::Wgsl(stage.text().into()),
        };
        let module = match self.setup.is_checked {
            true => self.device.create_shader_module(descriptor),
            false => unchecked(&self.device, descriptor),
        };
        let entries: Vec<_> = (0..).zip(stage.bindings).map(|(n, access)| layout_entry(n, *access)).collect();
        let layout = self
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(stage.name), entries: &entries });
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(stage.name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(stage.name),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(stage.entry),
            // No stage reads shared memory that it has not written.
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..wgpu::PipelineCompilationOptions::default()
            },
            cache: None,
        });
        self.fault.check()?;
        Ok(Pipeline { pipeline, layout, stage })
    }

    /// A buffer of so many words, at least four: the widest element of a stage. Zeros.
    pub fn buffer(&self, words: usize) -> Result<Buffer, GpuError> {
        let size = 4 * words.max(4) as u64;
        self.bounded("bytes of a buffer", size, self.limits().binding_bytes.min(self.limits().buffer_bytes))?;
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let buffer = self.device.create_buffer(&descriptor);
        self.fault.check()?;
        Ok(Buffer { buffer })
    }

    /// Writes words to the beginning of a buffer, before whatever is submitted next.
    ///
    /// # Panics
    /// If it is shorter.
    pub fn write(&self, buffer: &Buffer, words: &[u32]) -> Result<(), GpuError> {
        assert!(words.len() <= buffer.words(), "{} words for a buffer of {}", words.len(), buffer.words());
        self.queue.write_buffer(&buffer.buffer, 0, cast_slice(words));
        self.fault.check()
    }

    /// A buffer of these words.
    pub fn upload(&self, words: &[u32]) -> Result<Buffer, GpuError> {
        let buffer = self.buffer(words.len())?;
        self.write(&buffer, words)?;
        Ok(buffer)
    }

    /// Commands that are given together.
    pub fn batch(&self) -> Batch<'_> {
        let encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        Batch { gpu: self, encoder, reads: Vec::new() }
    }

    /// Shape of a dispatch: two axes where one does not suffice.
    fn axes(&self, groups: u32) -> Result<[u32; 2], GpuError> {
        let limit = self.limits().groups;
        self.bounded("workgroups", groups.into(), u64::from(limit) * u64::from(limit))?;
        let rows = groups.div_ceil(limit).max(1);
        Ok([groups.div_ceil(rows), rows])
    }
}

/// Without what wgpu would put in. Both kinds of checks go: bounds off with loops bounded takes some drivers a minute to compile.
#[allow(unsafe_code)]
fn unchecked(device: &wgpu::Device, descriptor: wgpu::ShaderModuleDescriptor<'_>) -> wgpu::ShaderModule {
    // SAFETY: the text is one of ours (`pipeline` takes a `&'static Stage`): its loops end, and its header states the bounds
    // that the host code asserts; the tests run it with checks too, and its twin with those of slices.
    unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
}

fn layout_entry(binding: u32, access: Access) -> wgpu::BindGroupLayoutEntry {
    let ty = match access {
        Access::Params => wgpu::BufferBindingType::Uniform,
        Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
        Access::Write => wgpu::BufferBindingType::Storage { read_only: false },
    };
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    }
}

/// Commands on their way to a device; they run in order.
#[derive(Debug)]
pub struct Batch<'a> {
    gpu: &'a Gpu,
    encoder: wgpu::CommandEncoder,
    reads: Vec<wgpu::Buffer>,
}

impl Batch<'_> {
    /// So many groups of a stage over its buffers, in the order of its bindings; `params` are binding 0.
    ///
    /// # Panics
    /// If the stage takes another number of buffers.
    pub fn run(
        &mut self,
        pipeline: &Pipeline,
        params: [u32; 4],
        buffers: &[&Buffer],
        groups: u32,
    ) -> Result<(), GpuError> {
        assert_eq!(buffers.len() + 1, pipeline.stage.bindings.len(), "buffers of {}", pipeline.stage.name);
        let [x, y] = self.gpu.axes(groups)?;
        if groups == 0 {
            return Ok(());
        }
        let uniform = self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: size_of_val(&params) as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        // Written before anything of this batch runs: each dispatch has its own.
        self.gpu.queue.write_buffer(&uniform, 0, cast_slice(&params));
        let bound = std::iter::once(&uniform).chain(buffers.iter().map(|buffer| &buffer.buffer));
        let entries: Vec<_> = (0..)
            .zip(bound)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let group = self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(pipeline.stage.name),
            layout: &pipeline.layout,
            entries: &entries,
        });
        let mut pass = self.encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(x, y, 1);
        Ok(())
    }

    /// Sets a buffer to zeros.
    pub fn clear(&mut self, buffer: &Buffer) {
        self.encoder.clear_buffer(&buffer.buffer, 0, None);
    }

    /// Reads the first words of a buffer, as they are when the commands before have run.
    ///
    /// # Panics
    /// If it is shorter.
    pub fn read(&mut self, buffer: &Buffer, words: usize) {
        assert!(words <= buffer.words(), "{words} words of a buffer of {}", buffer.words());
        let size = 4 * words as u64;
        let staging = self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        if size > 0 {
            self.encoder.copy_buffer_to_buffer(&buffer.buffer, 0, &staging, 0, size);
        }
        self.reads.push(staging);
    }

    /// Gives the commands and waits; what was to be read, in that order.
    pub fn finish(self) -> Result<Vec<Vec<u32>>, GpuError> {
        self.submit()?.wait()
    }
}

impl<'a> Batch<'a> {
    /// Gives the commands and does not wait.
    pub fn submit(self) -> Result<Pending<'a>, GpuError> {
        let Self { gpu, encoder, reads } = self;
        gpu.fault.check()?;
        let submission = gpu.queue.submit([encoder.finish()]);
        let (sender, done) = mpsc::channel();
        for staging in reads.iter().filter(|staging| staging.size() > 0) {
            let sender = sender.clone();
            // Whoever hung up does not wait any more.
            staging.map_async(wgpu::MapMode::Read, .., move |done| drop(sender.send(done)));
        }
        Ok(Pending { gpu, submission, reads, done })
    }
}

/// Commands that a device has.
#[derive(Debug)]
pub struct Pending<'a> {
    gpu: &'a Gpu,
    submission: wgpu::SubmissionIndex,
    reads: Vec<wgpu::Buffer>,
    done: mpsc::Receiver<Result<(), wgpu::BufferAsyncError>>,
}

impl Pending<'_> {
    /// Waits for them; what was to be read, in that order.
    pub fn wait(self) -> Result<Vec<Vec<u32>>, GpuError> {
        let Self { gpu, submission, reads, done: receiver } = self;
        let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(PATIENCE) };
        let lost = |reason: String| GpuError::Lost { adapter: gpu.adapter.name.clone(), reason };
        if let Err(e) = gpu.device.poll(wait) {
            gpu.fault.note(lost(e.to_string()));
        }
        gpu.fault.check()?;
        let mut read = Vec::with_capacity(reads.len());
        for staging in &reads {
            let mut words = vec![0; (staging.size() / 4) as usize];
            if !words.is_empty() {
                // The work is done; another thread that waits for this device may be the one that says so, a moment later.
                let done = receiver.recv_timeout(PATIENCE).map_err(|e| lost(e.to_string()))?;
                done.map_err(|e| lost(e.to_string()))?;
                let view = staging.get_mapped_range(..).map_err(|e| lost(e.to_string()))?;
                cast_slice_mut(&mut words).copy_from_slice(&view);
            }
            read.push(words);
        }
        Ok(read)
    }
}
