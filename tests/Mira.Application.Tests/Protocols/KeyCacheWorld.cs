namespace Mira.Application.Tests.Protocols;

/// <summary>A position of the ledger.</summary>
/// <param name="IsLost">It was after the point to which the ledger was restored, and another event may be in its
/// place.</param>
internal readonly record struct Place(int Seq, bool IsLost)
{
    public override string ToString() => $"{Seq}{(IsLost ? " (lost)" : "")}";
}

/// <summary>The state of the model: the ledger, and all that node 1 knows.</summary>
internal record struct KeyCacheWorld
{
    public const int KeyB = 0;
    public const int KeyA = 1;

    /// <summary>The subject of the event that records a restore.</summary>
    public const int NewEpoch = 2;

    /// <summary>
    /// The epochs that node 1 can be in: the first one, one of its own after it noticed a restore, and the one that
    /// the record began.
    /// </summary>
    public const int Original = 0;
    public const int Unrecorded = 1;
    public const int Recorded = 2;

    public const int Never = 7;

    private const int SeqBits = 3;
    private const int SubjectBits = 2;
    private const int MostEvents = 6;

    public int Events;
    public int Length;
    public int RestoredTo;
    public int LostLength;
    public Place Seen;
    public int Floor;
    public int Epoch;
    public bool HasCached;
    public Place Cached;
    public bool IsReading;
    public Place Read;
    public bool IsLooking;
    public bool IsMismatch;
    public Place Page;
    public int Promised;
    public bool HasOwn;
    public Place Own;
    public bool IsOwnOfA;

    /// <summary>The newest change of key A that node 1 has heard of.</summary>
    public int Heard;

    /// <summary>Whether all that node 1 holds was read after the restore, or there was none.</summary>
    public bool IsClean;

    /// <summary>Whether a look did not bring what was committed before it.</summary>
    public bool HasMissed;

    private int _subjects;
    private int _lostSubjects;
    private int _remembered;
    private int _firstSeq;
    private int _firstSubject;
    private int _secondSeq;
    private int _secondSubject;

    public static KeyCacheWorld Unpack(ModelState bits)
    {
        var reader = new BitReader(bits);
        return new KeyCacheWorld
        {
            Events = reader.Take(SeqBits),
            Length = reader.Take(SeqBits),
            RestoredTo = reader.Take(SeqBits),
            LostLength = reader.Take(SeqBits),
            _subjects = reader.Take(SubjectBits * MostEvents),
            _lostSubjects = reader.Take(SubjectBits * MostEvents),
            Seen = TakePlace(ref reader),
            Floor = reader.Take(SeqBits),
            Epoch = reader.Take(2),
            HasCached = reader.Take(),
            Cached = TakePlace(ref reader),
            IsReading = reader.Take(),
            Read = TakePlace(ref reader),
            IsLooking = reader.Take(),
            IsMismatch = reader.Take(),
            Page = TakePlace(ref reader),
            Promised = reader.Take(SeqBits),
            HasOwn = reader.Take(),
            Own = TakePlace(ref reader),
            IsOwnOfA = reader.Take(),
            Heard = reader.Take(SeqBits),
            IsClean = reader.Take(),
            HasMissed = reader.Take(),
            _remembered = reader.Take(2),
            _firstSeq = reader.Take(SeqBits),
            _firstSubject = reader.Take(1),
            _secondSeq = reader.Take(SeqBits),
            _secondSubject = reader.Take(1),
        };
    }

    public readonly ModelState Pack()
    {
        var writer = new BitWriter();
        writer.Put(Events, SeqBits);
        writer.Put(Length, SeqBits);
        writer.Put(RestoredTo, SeqBits);
        writer.Put(LostLength, SeqBits);
        writer.Put(_subjects, SubjectBits * MostEvents);
        // Only a page from before the restore still tells of what was lost.
        writer.Put(IsLooking && Page.IsLost ? _lostSubjects : 0, SubjectBits * MostEvents);
        PutPlace(ref writer, Seen);
        writer.Put(Floor, SeqBits);
        writer.Put(Epoch, 2);
        writer.Put(HasCached);
        PutPlace(ref writer, Cached);
        writer.Put(IsReading);
        PutPlace(ref writer, Read);
        writer.Put(IsLooking);
        writer.Put(IsMismatch);
        PutPlace(ref writer, Page);
        writer.Put(Promised, SeqBits);
        writer.Put(HasOwn);
        PutPlace(ref writer, Own);
        writer.Put(IsOwnOfA);
        writer.Put(Heard, SeqBits);
        writer.Put(IsClean);
        writer.Put(HasMissed);
        writer.Put(_remembered, 2);
        writer.Put(_firstSeq, SeqBits);
        writer.Put(_firstSubject, 1);
        writer.Put(_secondSeq, SeqBits);
        writer.Put(_secondSubject, 1);
        return writer.State;
    }

    public void Append(int subject)
    {
        Events++;
        _subjects |= subject << (SubjectBits * Length++);
    }

    public readonly int SubjectAt(Place place) =>
        ((place.IsLost ? _lostSubjects : _subjects) >> (SubjectBits * (place.Seq - 1))) & 3;

    /// <summary>The ledger ends at an earlier event, and what was after it is lost wherever it is known.</summary>
    public void Restore(int to)
    {
        Events++;
        (RestoredTo, LostLength, _lostSubjects) = (to, Length, _subjects);
        Length = to;
        _subjects &= (1 << (SubjectBits * to)) - 1;
        (Seen, Cached, Read, Page, Own) = (Lost(Seen), Lost(Cached), Lost(Read), Lost(Page), Lost(Own));
        IsClean = false;

        Place Lost(Place place) => place with { IsLost = place.Seq > to };
    }

    /// <summary>The place of the event that records the restore; 0 when there is none.</summary>
    public readonly int EpochStart()
    {
        for (var seq = 1; seq <= Length; seq++)
        {
            if (SubjectAt(new Place(seq, IsLost: false)) == NewEpoch)
                return seq;
        }

        return 0;
    }

    /// <summary>
    /// Can this entry of key A be in the shared cache, under the name of the epoch that node 1 is in?
    /// </summary>
    public readonly bool MayFindShared(Place entry) => entry.IsLost
        ? Epoch == Original && RestoredTo != Never && entry.Seq > RestoredTo && entry.Seq <= LostLength
        : entry.Seq <= Length && entry.Seq >= (Epoch == Original ? 0 : Epoch == Unrecorded ? Floor : EpochStart());

    /// <summary>RecentChanges.Trusts, for key A.</summary>
    public readonly bool Trusts(int asOf) => asOf >= Floor && NewestRemembered(KeyA) <= asOf;

    /// <summary>RecentChanges.Add.</summary>
    public void Remember(int seq, int subject, bool raisesFloor)
    {
        if (NewestRemembered(subject) is var newest and > 0 && seq <= newest)
            return;

        if (_remembered == KeyCacheModel.Capacity)
        {
            if (raisesFloor)
                Floor = Math.Max(_firstSeq, Floor);
            (_firstSeq, _firstSubject, _remembered) = (_secondSeq, _secondSubject, 1);
            (_secondSeq, _secondSubject) = (0, 0);
        }

        if (_remembered++ == 0)
            (_firstSeq, _firstSubject) = (seq, subject);
        else
            (_secondSeq, _secondSubject) = (seq, subject);
    }

    /// <summary>Empties what is remembered and what is cached, and ends what is being read.</summary>
    public void Forget(int floor, int epoch)
    {
        (_remembered, _firstSeq, _firstSubject, _secondSeq, _secondSubject) = (0, 0, 0, 0, 0);
        (Floor, Epoch, HasCached, Cached, IsReading, Read) = (floor, epoch, false, default, false, default);
        (Heard, IsClean) = (NewestOfA(floor), true);
    }

    /// <summary>Node 1 knows every event up to this place.</summary>
    public void See(Place place)
    {
        Seen = place;
        if (!place.IsLost)
            Heard = Math.Max(Heard, NewestOfA(place.Seq));
    }

    public readonly bool Follows(Place place) =>
        Seen == new Place(place.Seq - 1, place.IsLost && place.Seq - 1 > RestoredTo);

    public override readonly string ToString() =>
        $"   ledger {Ledger()}{(RestoredTo == Never ? "" : $", restored to {RestoredTo} from {LostLength}")}; "
        + $"node 1: seen {Seen}, floor {Floor}, epoch {Epoch}, "
        + $"remembers {_remembered}: {_firstSeq}{"BA"[_firstSubject]} {_secondSeq}{"BA"[_secondSubject]}, "
        + $"heard of A at {Heard}; cached {Words(HasCached, Cached)}, reads {Words(IsReading, Read)}, "
        + $"looks {Words(IsLooking, Page)}, own {Words(HasOwn, Own)}";

    private static string Words(bool isThere, Place place) => isThere ? place.ToString() : "nothing";

    private readonly int NewestRemembered(int subject) => Math.Max(
        _remembered > 0 && _firstSubject == subject ? _firstSeq : 0,
        _remembered > 1 && _secondSubject == subject ? _secondSeq : 0);

    private readonly int NewestOfA(int last)
    {
        for (var seq = Math.Min(last, Length); seq > 0; seq--)
        {
            if (SubjectAt(new Place(seq, IsLost: false)) == KeyA)
                return seq;
        }

        return 0;
    }

    private readonly string Ledger()
    {
        var ledger = this;
        return string.Concat(Enumerable.Range(1, Length).Select(seq => "BAE"[ledger.SubjectAt(new Place(seq, false))]));
    }

    private static Place TakePlace(ref BitReader reader) => new(reader.Take(SeqBits), reader.Take());

    private static void PutPlace(ref BitWriter writer, Place place)
    {
        writer.Put(place.Seq, SeqBits);
        writer.Put(place.IsLost);
    }
}
