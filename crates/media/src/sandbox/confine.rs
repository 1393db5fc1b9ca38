//! Giving up what a decoder does not need.

use serde::{Deserialize, Serialize};

/// What was given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Confinement {
    /// No file or socket can be opened.
    pub(super) landlock: bool,
    /// Only the system calls of decoding are left.
    pub(super) seccomp: bool,
}

/// The most memory that a child may map, in bytes: far above any real clip's need.
#[cfg(target_os = "linux")]
const MEMORY: u64 = 8 << 30;

/// The kernel's landlock version.
#[cfg(target_os = "linux")]
pub(super) fn landlock_version() -> Option<u32> {
    // SAFETY: with a null attribute and the version flag (1) the call only returns a number.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0_usize,
            1_u32,
        )
    };
    u32::try_from(version).ok().filter(|&version| version > 0)
}

/// True where the kernel takes system call filters.
#[cfg(target_os = "linux")]
pub(super) fn has_seccomp() -> bool {
    std::path::Path::new("/proc/sys/kernel/seccomp/actions_avail").exists()
}

/// Gives up everything that can be given up, and says what that was.
#[cfg(target_os = "linux")]
pub(super) fn confine() -> Confinement {
    limit(libc::RLIMIT_AS, MEMORY);
    limit(libc::RLIMIT_CORE, 0);
    limit(libc::RLIMIT_FSIZE, 0);
    // The order matters: seccomp forbids landlock's own calls.
    let landlock = landlock();
    let seccomp = seccomp().is_ok();
    Confinement { landlock, seccomp }
}

/// Closes what the parent's parents left open; to be called before anything is opened.
#[cfg(target_os = "linux")]
pub(super) fn close_inherited() {
    // SAFETY: closes descriptors that nothing in this young process owns.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32);
    }
}

#[cfg(target_os = "linux")]
fn limit(what: libc::__rlimit_resource_t, most: u64) {
    let limits = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    // SAFETY: reads the given structure. A failure leaves the old limit, which is no worse.
    unsafe {
        libc::setrlimit(what, &raw const limits);
    }
}

/// Forbids opening files and sockets.
#[cfg(target_os = "linux")]
fn landlock() -> bool {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr,
        RulesetStatus,
    };
    let abi = ABI::V5;
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(abi)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    ruleset.is_ok_and(|status| status.ruleset != RulesetStatus::NotEnforced)
}

/// Leaves only the system calls that decoding needs; others do not exist (`ENOSYS`), which the
/// C library takes as an old kernel and works around.
#[cfg(target_os = "linux")]
fn seccomp() -> Result<(), Box<dyn std::error::Error>> {
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule,
    };
    let plain = [
        libc::SYS_read,
        libc::SYS_pread64,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_lseek,
        libc::SYS_close,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_tgkill,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_yield,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    let mut rules: std::collections::BTreeMap<i64, Vec<SeccompRule>> =
        plain.into_iter().map(|call| (call, Vec::new())).collect();
    let masked = |argument: u8, mask: u64, value: u64| {
        SeccompCondition::new(
            argument,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::MaskedEq(mask),
            value,
        )
        .and_then(|condition| SeccompRule::new(vec![condition]))
    };
    // Memory, but none that can be run.
    let executable = libc::PROT_EXEC as u64;
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![masked(2, executable, 0)?]);
    }
    // Threads, but no processes.
    let thread = libc::CLONE_THREAD as u64;
    rules.insert(libc::SYS_clone, vec![masked(0, thread, thread)?]);
    // Naming a thread.
    let name = libc::PR_SET_NAME as u64;
    rules.insert(libc::SYS_prctl, vec![masked(0, 0xFFFF_FFFF, name)?]);
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::ENOSYS as u32),
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?;
    let program: BpfProgram = filter.try_into()?;
    seccompiler::apply_filter(&program)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn landlock_version() -> Option<u32> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn close_inherited() {}

#[cfg(not(target_os = "linux"))]
pub(super) fn has_seccomp() -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
pub(super) fn confine() -> Confinement {
    Confinement::default()
}
