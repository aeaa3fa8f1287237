/* The command plane of ozzo (ozzo/commands.py, ozzo/fence.py, ozzo/lease.py, ozzo/agent/node.py) as a model for spin.
 *
 * Two controllers and two nodes. Each of them may crash at any moment and start again. Both controllers may live at once, one of
 * them not knowing that it was replaced. The network keeps every command that was ever sent and may hand any of them to its node
 * at any time, any number of times, in any order, or never: that is loss, duplication, reordering, delay and a broker restored
 * from an old snapshot in one. The clock ticks whenever it likes, but not while a node has something to do at once
 * (carry out what it just accepted, or lose a lease that has run out): those take milliseconds, a tick stands for seconds. Times are
 * kept as ticks left or ticks passed, so that no end of time bounds the search.
 *
 * Kept on disk: the store's last epoch; a node's fence and the ids that it accepted. Lost in a crash: everything else.
 *
 * Claims, each an assertion under the same word:
 *   EPOCH     no node carries out a command of a lower epoch after one of a higher epoch
 *   ONCE      a command takes effect at most once
 *   EXPIRY    a command is never carried out at or after its not-after
 *   FAILSAFE  a node that has obeyed somebody is in failsafe when its lease has run out since the last new word that it heard,
 *             and so at the latest LIFE + LEASE after the last command to it was issued
 *
 * Deliberately broken variants, each of which must break a claim: -DNO_FENCE, -DNO_JOURNAL, -DNO_EXPIRY, -DNO_LEASE
 * (a repeated command renews the lease). tests/protocol/ runs all of them.
 */

#ifndef COMMANDS
#define COMMANDS 2      /* commands that are issued in all */
#endif
#ifndef CRASHES
#define CRASHES 2       /* crashes of anybody in all */
#endif
#define NODES 2
#define CONTROLLERS 2
#define LIFE 1          /* not-after, in ticks from the issue */
#define LEASE 2         /* lease, in ticks from the moment at which the node accepts */
#define NONE 255

byte crashes = 0;

/* the controllers' durable store */
byte last_epoch = 0;

/* the network: command i is i < sent; its number is its id */
byte sent = 0;
byte to[COMMANDS], epoch_of[COMMANDS], sequence_of[COMMANDS];
byte life_left[COMMANDS];   /* ticks until its not-after */

/* a node's disk */
byte fence_epoch[NODES], fence_sequence[NODES];
bool accepted[COMMANDS];

/* a node's memory */
bool up[NODES];
bool failsafe[NODES];
bool leased[NODES];
byte lease_left[NODES];     /* ticks until its lease runs out */
byte pending[NODES];

/* the outside world, for the claims only */
byte effects[COMMANDS];
byte obeyed_epoch[NODES];
byte since_heard[NODES];    /* ticks since it carried out the last command, at most LEASE */
byte since_issued[NODES];   /* ticks since the last command to it was issued, at most LIFE + LEASE */
bool obeyed[NODES];

/* node n must do something before time goes on */
#define LOST(n)   (up[n] && leased[n] && !failsafe[n] && lease_left[n] == 0)
#define URGENT(n) (up[n] && (pending[n] != NONE || LOST(n)))

proctype Controller(byte me) {
    byte epoch = 0, sequence = 0, n;
end:
    do
    :: epoch == 0 ->                                   /* start: take a new epoch from the store, in one transaction */
        d_step { last_epoch++; epoch = last_epoch; sequence = 0 }
    :: epoch != 0 && sent < COMMANDS ->                /* issue a command to either node */
        atomic {
            if
            :: sent < COMMANDS ->
                if :: n = 0 :: sent > 0 -> n = 1 fi;   /* the nodes are alike, so the first command may go to the first */
                d_step {
                    sequence++;
                    to[sent] = n;
                    epoch_of[sent] = epoch;
                    sequence_of[sent] = sequence;
                    life_left[sent] = LIFE;
                    since_issued[n] = 0;
                    sent++;
                    n = 0
                }
            :: else
            fi
        }
    :: epoch != 0 && crashes < CRASHES ->              /* crash; starts again with a higher epoch, or never */
        d_step { if :: crashes < CRASHES -> crashes++; epoch = 0 :: else fi }
    od
}

/* ozzo.fence.decide, in its order, then the journal */
inline receive(n, i) {
    if
    :: accepted[i] ->                                  /* seen before: the stored answer, nothing else */
#ifdef NO_LEASE
        lease_left[n] = LEASE; failsafe[n] = false;
#endif
        skip
    :: !accepted[i] ->
        if
#ifndef NO_FENCE
        :: epoch_of[i] < fence_epoch[n] -> skip        /* a newer controller has taken over */
        :: epoch_of[i] == fence_epoch[n] && sequence_of[i] <= fence_sequence[n] -> skip
#endif
        :: else ->
            fence_epoch[n] = epoch_of[i];
            fence_sequence[n] = sequence_of[i];
            if
#ifndef NO_EXPIRY
            :: life_left[i] == 0 -> skip           /* refused, but the fence is raised all the same */
#endif
            :: else ->
                accepted[i] = true;                    /* the journal commit: the same transaction as the fence */
                pending[n] = i
            fi
        fi
    fi
}

/* NodeAgent._obey */
inline carry_out(n) {
    assert(epoch_of[pending[n]] >= obeyed_epoch[n]);   /* EPOCH */
    assert(life_left[pending[n]] > 0);                 /* EXPIRY */
    effects[pending[n]]++;
    assert(effects[pending[n]] == 1);                  /* ONCE */
    obeyed_epoch[n] = epoch_of[pending[n]];
    obeyed[n] = true;
    since_heard[n] = 0;
    leased[n] = true;
    lease_left[n] = LEASE;
    failsafe[n] = false;
    pending[n] = NONE
}

inline lose(n) {
    up[n] = false;
    leased[n] = false;
    failsafe[n] = false;
    lease_left[n] = 0;
    pending[n] = NONE;
    since_heard[n] = 0;
#ifdef NO_JOURNAL
    fence_epoch[n] = 0;
    fence_sequence[n] = 0;
    i = 0;
    do
    :: i < COMMANDS -> if :: to[i] == n -> accepted[i] = false :: else fi; i++
    :: else -> break
    od;
    i = 0
#endif
}

proctype Node(byte me) {
    byte i = 0;
end:
    do
    :: up[me] && pending[me] != NONE -> d_step { if :: up[me] && pending[me] != NONE -> carry_out(me) :: else fi }
    :: LOST(me) && pending[me] == NONE -> failsafe[me] = true
    :: up[me] && pending[me] == NONE && sent > 0 ->    /* the network hands over any command to this node, old or new */
        atomic {
            i = 0;
            do
            :: i + 1 < sent -> i++
            :: break
            od;
            d_step { if :: to[i] == me -> receive(me, i) :: else fi; i = 0 }
        }
    :: up[me] && crashes < CRASHES -> d_step { if :: crashes < CRASHES -> crashes++; lose(me) :: else fi }
    :: !up[me] ->                                      /* start: in failsafe when an earlier life obeyed somebody */
        d_step { up[me] = true; leased[me] = (fence_epoch[me] > 0); failsafe[me] = (fence_epoch[me] > 0) }
    od
}

proctype Clock() {
    byte n, i;
end:
    do
    :: !URGENT(0) && !URGENT(1) ->
        d_step {
            if
            :: !URGENT(0) && !URGENT(1) ->
                n = 0;
                do
                :: n < NODES ->
                    if
                    :: up[n] && obeyed[n] && !failsafe[n] ->
                        assert(since_heard[n] < LEASE);              /* FAILSAFE, counted from what the node heard */
                        assert(since_issued[n] < LIFE + LEASE)       /* FAILSAFE, counted from what was issued */
                    :: else
                    fi;
                    if :: since_heard[n] < LEASE -> since_heard[n]++ :: else fi;
                    if :: since_issued[n] < LIFE + LEASE -> since_issued[n]++ :: else fi;
                    if :: lease_left[n] > 0 -> lease_left[n]-- :: else fi;
                    n++
                :: else -> break
                od;
                n = 0;
                i = 0;
                do
                :: i < sent -> if :: life_left[i] > 0 -> life_left[i]-- :: else fi; i++
                :: else -> break
                od;
                i = 0
            :: else
            fi
        }
    od
}

init {
    byte n = 0;
    atomic {
        do
        :: n < NODES -> up[n] = true; pending[n] = NONE; run Node(n); n++
        :: else -> break
        od;
        n = 0;
        do
        :: n < CONTROLLERS -> run Controller(n); n++
        :: else -> break
        od;
        n = 0;
        run Clock()
    }
}
